/** What is in Redis at the end, and what sessions saw that went from process to process. */
export async function judgeShared(load, lines, beganAt) {
  lines.goal('answers that took a session back', load.sessions.back, 0)
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
