import { dirname, join, normalize } from 'node:path'
import ts from 'typescript'
import { expect, test } from 'vitest'
import { importsOf, parse, sourceOf } from './modules.js'
import { manifests, repositoryFiles, sourceFiles } from './repository.js'

test('every exported name is imported somewhere, or public', () => {
  const dead = exportsOf(sourceFiles()).filter(({ path, name }) => {
    if (entries().has(path) || isInSignature(path, name)) return false
    return !uses().has(`${path}#${name}`) && !uses().has(`${path}#*`)
  })
  expect(dead.map(({ path, name }) => `${path}: ${name}`)).toEqual([])
})

test('the scan for unused exports sees them', () => {
  const program = `
    export const used = 1; export function unused() {}; export type Shape = {}; const hidden = 1
    export { hidden as shown }; export class Kind {}; export interface Face {}; export enum Way { Up }`
  const names = exportedNames(ts.createSourceFile('x.ts', program, ts.ScriptTarget.ESNext, true))
  expect(names).toEqual(['used', 'unused', 'Shape', 'shown', 'Kind', 'Face', 'Way'])
})

function exportsOf(paths: readonly string[]): { path: string; name: string }[] {
  return paths.flatMap((path) => exportedNames(parse(path)).map((name) => ({ path, name })))
}

function exportedNames(file: ts.SourceFile): string[] {
  return file.statements.flatMap(exportedIn)
}

function exportedIn(statement: ts.Statement): string[] {
  if (ts.isExportDeclaration(statement) && statement.exportClause && ts.isNamedExports(statement.exportClause))
    return statement.exportClause.elements.map((item) => item.name.text)
  if (ts.isExportAssignment(statement)) return ['default']
  const isExported =
    ts.canHaveModifiers(statement) &&
    ts.getModifiers(statement)?.some((modifier) => modifier.kind === ts.SyntaxKind.ExportKeyword)
  if (!isExported) return []
  if (ts.isVariableStatement(statement))
    return statement.declarationList.declarations.map((declaration) => declaration.name.getText())
  const { name } = statement as ts.DeclarationStatement
  return name === undefined ? [] : [name.text]
}

/** Whether it is a type that another exported declaration of its file shows to callers. */
function isInSignature(path: string, name: string): boolean {
  const mentions = (node: ts.Node): boolean => {
    if (ts.isBlock(node)) return false
    if (ts.isTypeReferenceNode(node) && node.typeName.getText() === name) return true
    if (ts.isExpressionWithTypeArguments(node) && node.expression.getText() === name) return true
    return ts.forEachChild(node, mentions) ?? false
  }
  return parse(path).statements.some((statement) => {
    const own = exportedIn(statement)
    return own.length > 0 && !own.includes(name) && mentions(statement)
  })
}

let entryPaths: Set<string> | undefined
/** The files that packages publish names from. */
function entries(): Set<string> {
  entryPaths ??= new Set(
    manifests().flatMap(({ path, manifest }) =>
      Object.values(manifest.exports ?? {}).map(({ source }) => normalize(join(dirname(path), source))),
    ),
  )
  return entryPaths
}

let usedNames: Set<string> | undefined
/** `path#name` of all that any file of the repository imports from another. */
function uses(): Set<string> {
  usedNames ??= new Set(
    importsOf(repositoryFiles().filter((path) => /\.(ts|js|mjs)$/.test(path))).flatMap(({ from, target, names }) => {
      const path = sourceOf(from, target)
      return path === undefined ? [] : names.map((name) => `${path}#${name}`)
    }),
  )
  return usedNames
}
