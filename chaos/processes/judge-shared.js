/** What is in Redis at the end, and what sessions saw that went from process to process. */
export async function judgeShared(load, lines, beganAt) {
  // A position says what an answer does not lack, not all that it shows: while the tidemarks stand, one process may answer with a commit
  // that the next one does not know yet. So this may happen, and must be rare.
  const share = load.sessions.reads === 0 ? 0 : load.sessions.back / load.sessions.reads
  lines.figure('answers that took a session back', load.sessions.back)
  lines.goal('their share', share, 0.01)
  lines.figure('answers of sessions', load.sessions.reads)
  lines.figure('reads of sessions that failed or could not wait', load.sessions.behind)
  const { child } = load.alive.find(({ keepsLittle }) => keepsLittle)
  const { answers, froms } = await child.ask({ do: 'readAll' })
  const { result } = await load.judge.ask({ do: 'compare', kept: answers })
  lines.goal('what a process that keeps little answers at the end and not what the database says', result.differing, 0)
  lines.goal('of these answers from L2', froms.l2 ?? 0, 1, 'least')
  for (const example of result.examples) console.log('    ', JSON.stringify(example))
  const failed = load.errors.filter(([start]) => start >= beganAt)
  lines.goal('reads that failed, though the source was there', failed.length, 0)
}
