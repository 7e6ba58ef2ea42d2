/**
 * A pattern of LIKE as what stands between its `%`: characters, null for `_`. undefined where PostgreSQL refuses it.
 */
export function piecesOf(pattern: string): (string | null)[][] | undefined {
  const pieces: (string | null)[][] = [[]]
  const characters = [...pattern]
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i]!
    if (character === '%') pieces.push([])
    else if (character === '_') pieces.at(-1)!.push(null)
    else if (character !== '\\') pieces.at(-1)!.push(character)
    else if (++i < characters.length) pieces.at(-1)!.push(characters[i]!)
    else return undefined
  }
  return pieces
}
