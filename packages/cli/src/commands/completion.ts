import type { Command } from 'commander'
import { UsageError } from '../errors.js'
import type { Terminal } from '../terminal.js'

/** A command, as a shell completes it. */
interface Completed {
  /** `journal verify`; empty for tidemark itself. */
  readonly path: string
  readonly summary: string
  readonly commands: readonly string[]
  readonly options: readonly { readonly flag: string; readonly description: string }[]
}

const SHELLS: Readonly<Record<string, (all: readonly Completed[]) => string>> = { bash, zsh, fish }

/** `tidemark completion`: a script for a shell, made of the commands that there are. */
export function completionCommand(program: Command, terminal: Terminal): void {
  program
    .command('completion')
    .summary('print a script that completes commands in a shell')
    .description(
      'Prints a script that completes commands and options.\n' +
        '  bash: source <(tidemark completion bash)\n' +
        '  zsh:  source <(tidemark completion zsh)\n' +
        '  fish: tidemark completion fish | source',
    )
    .argument('<shell>', 'bash, zsh or fish')
    .action((shell: string) => {
      const script = Object.hasOwn(SHELLS, shell) ? SHELLS[shell] : undefined
      if (!script) throw new UsageError('The shell is bash, zsh or fish.')
      terminal.out(script(completed(program, '')))
    })
}

function completed(command: Command, path: string): Completed[] {
  const here: Completed = {
    path,
    summary: command.summary() || command.description(),
    commands: command.commands.map((each) => each.name()),
    options: [
      ...command.options.map(({ long, short, description }) => ({ flag: long ?? short ?? '', description })),
      { flag: '--help', description: 'display help for command' },
    ],
  }
  return [here, ...command.commands.flatMap((each) => completed(each, `${path} ${each.name()}`.trim()))]
}

/** The longest path of the words so far decides; words that begin with - are options. */
function bash(all: readonly Completed[]): string {
  const cases = all.map(
    ({ path, commands, options }) =>
      `    ${quoted(path)}) words=${quoted([...commands, ...options.map(({ flag }) => flag)].join(' '))} ;;`,
  )
  const paths = all.filter(({ path }) => path !== '').map(({ path }) => quoted(path))
  return `# tidemark completion for bash
_tidemark() {
  local path='' word words=''
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "\${path:+$path }$word" in
    ${paths.join('|')}) path="\${path:+$path }$word" ;;
    esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}")
}
complete -o default -F _tidemark tidemark
`
}

function zsh(all: readonly Completed[]): string {
  const cases = all.map(({ path, commands, options }) => {
    const named = commands.map((name) => described(name, summaryOf(all, `${path} ${name}`.trim())))
    const flags = options.map(({ flag, description }) => described(flag, description))
    return `    ${quoted(path)}) entries=(${[...named, ...flags].map(quoted).join(' ')}) ;;`
  })
  const paths = all.filter(({ path }) => path !== '').map(({ path }) => quoted(path))
  return `#compdef tidemark
# tidemark completion for zsh
_tidemark() {
  local path_='' word
  local -a entries
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "\${path_:+$path_ }$word" in
    (${paths.join('|')}) path_="\${path_:+$path_ }$word" ;;
    esac
  done
  case "$path_" in
${cases.join('\n')}
  esac
  _describe tidemark entries || _files
}
# Where nothing is completed yet, as in a bare .zshrc.
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }
compdef _tidemark tidemark
`
}

function fish(all: readonly Completed[]): string {
  const lines = all.flatMap(({ path, commands, options }) => {
    const where = conditionOf(path, commands)
    return [
      ...commands.map(
        (name) =>
          `complete -c tidemark -f -n ${quoted(where)} -a ${name} -d ${quoted(summaryOf(all, `${path} ${name}`.trim()))}`,
      ),
      ...options.map(
        ({ flag, description }) =>
          `complete -c tidemark -n ${quoted(where)} ${flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`} -d ${quoted(firstLine(description))}`,
      ),
    ]
  })
  return `# tidemark completion for fish\n${lines.join('\n')}\n`
}

/** Where the words so far are this command and none below it. */
function conditionOf(path: string, commands: readonly string[]): string {
  if (path === '') return '__fish_use_subcommand'
  const seen = path.split(' ').map((name) => `__fish_seen_subcommand_from ${name}`)
  return [...seen, ...(commands.length > 0 ? [`not __fish_seen_subcommand_from ${commands.join(' ')}`] : [])].join(
    '; and ',
  )
}

function summaryOf(all: readonly Completed[], path: string): string {
  return all.find((each) => each.path === path)?.summary ?? ''
}

/** As zsh's _describe has it: a colon ends the name. */
function described(name: string, description: string): string {
  return `${name.replaceAll(':', '\\:')}:${firstLine(description)}`
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0]!
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
