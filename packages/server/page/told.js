/** Events of `/api/activity`, in a sentence each; empty: nothing to tell. */
export const told = {
  applied: ({ changes, touched, left }) => {
    const what = Object.entries(changes).map(([change, count]) => (count === 1 ? change : `${change} (${count})`))
    return what.length === 0 ? '' : `${what.join(', ')}: ${entries(touched)} went stale, ${left} left alone`
  },
  swept: ({ touched }) => `The last of ${entries(touched)} that a pattern named is gone`,
  filled: ({ key }) => `Filled ${key}`,
  failed: ({ key, error }) => `Filling ${key} failed: ${error.code}`,
  started: () => 'The log was taken up',
  lost: ({ reason }) => `The log was lost: ${reason.code}`,
  notice: ({ message }) => message,
  skipped: ({ events }) => `${events} more, left out`,
}

function entries(count) {
  return count === 1 ? '1 entry' : `${count} entries`
}
