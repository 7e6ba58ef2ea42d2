import { dirname, join, normalize } from 'node:path'
import ts from 'typescript'
import { type Manifest, manifests, read } from './repository.js'

/** The packages of this repository. */
export const byName = new Map(
  manifests().map(({ path, manifest }) => [manifest.name, { folder: dirname(path), manifest }]),
)

export interface Import {
  readonly from: string
  readonly target: string
  /** `*` for all of them: a namespace, `export *`, or import(). */
  readonly names: readonly string[]
}

export const describeImport = ({ from, target }: Import) => `${from} imports ${target}`

export function importsOf(paths: readonly string[]): Import[] {
  return paths.flatMap((path) => importsIn(path))
}

const parsed = new Map<string, ts.SourceFile>()
export function parse(path: string): ts.SourceFile {
  let file = parsed.get(path)
  if (file === undefined) {
    file = ts.createSourceFile(path, read(path), ts.ScriptTarget.ESNext, true)
    parsed.set(path, file)
  }
  return file
}

function importsIn(from: string): Import[] {
  const found: Import[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) found.push({ from, target: textOf(node.moduleSpecifier), names: namesOf(node) })
    else if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
      const { exportClause } = node
      const isNamed = exportClause !== undefined && ts.isNamedExports(exportClause)
      const names = isNamed ? exportClause.elements.map((item) => (item.propertyName ?? item.name).text) : ['*']
      found.push({ from, target: textOf(node.moduleSpecifier), names })
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword && node.arguments[0])
      found.push({ from, target: textOf(node.arguments[0]), names: ['*'] })
    else if (ts.isImportTypeNode(node)) found.push({ from, target: textOf(node.argument), names: ['*'] })
    ts.forEachChild(node, visit)
  }
  visit(parse(from))
  return found
}

function textOf(node: ts.Node): string {
  if (ts.isLiteralTypeNode(node)) return textOf(node.literal)
  return ts.isStringLiteralLike(node) ? node.text : ''
}

function namesOf({ importClause }: ts.ImportDeclaration): string[] {
  const bindings = importClause?.namedBindings
  const names = importClause?.name === undefined ? [] : ['default']
  if (bindings === undefined) return names
  if (ts.isNamespaceImport(bindings)) return ['*']
  return [...names, ...bindings.elements.map((item) => (item.propertyName ?? item.name).text)]
}

/** The source file that an import means; `undefined` for one of another project. */
export function sourceOf(from: string, target: string): string | undefined {
  if (target.startsWith('.')) return normalize(join(dirname(from), target)).replace(/\.js$/, '.ts')
  const found = byName.get(packageName(target))
  const entry: Manifest['exports'] = found?.manifest.exports ?? {}
  const source = entry[`.${target.slice(packageName(target).length)}`]?.source
  return found === undefined || source === undefined ? undefined : normalize(join(found.folder, source))
}

/** The package of an import: `@scope/name` or `name`. */
export function packageName(target: string): string {
  return target
    .split('/')
    .slice(0, target.startsWith('@') ? 2 : 1)
    .join('/')
}
