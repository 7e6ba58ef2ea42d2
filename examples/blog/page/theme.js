/** Light or dark: as the system says, until the visitor chooses. */
export function startTheme() {
  const chosen = localStorage.getItem('blog-theme')
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen
  document.querySelector('#theme').addEventListener('click', () => {
    const next = isDark() ? 'light' : 'dark'
    document.documentElement.dataset.theme = next
    localStorage.setItem('blog-theme', next)
  })
}

function isDark() {
  const { theme } = document.documentElement.dataset
  return theme ? theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches
}
