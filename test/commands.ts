import { read, repositoryFiles } from './repository.js'

export interface Command {
  readonly page: string
  readonly command: string
}

/** The commands that the README and the docs tell a reader to type: the lines of their `sh` blocks. */
export function documentedCommands(): Command[] {
  const pages = repositoryFiles().filter((path) => path === 'README.md' || /^docs\/.*\.md$/.test(path))
  return pages.flatMap((page) => commandsIn(read(page)).map((command) => ({ page, command })))
}

export function commandsIn(text: string): string[] {
  const blocks = [...text.matchAll(/^ *```(?:sh|bash|shell|console)\n([\s\S]*?)^ *```/gm)].map(([, block]) => block!)
  return blocks.flatMap((block) =>
    block
      .replaceAll('\\\n', ' ')
      .split('\n')
      .map((line) =>
        line
          .replace(/\s+#.*$/, '')
          .replace(/\s+/g, ' ')
          .trim(),
      )
      .filter((line) => line !== '' && !line.startsWith('#')),
  )
}
