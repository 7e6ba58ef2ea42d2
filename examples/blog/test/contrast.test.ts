import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'

const css = readFileSync(new URL('../page/theme.css', import.meta.url), 'utf8')

type Scheme = 'light' | 'dark'

/** The text on the surfaces that it stands on. */
const TEXTS: [text: string, surface: string][] = [
  ['ink', 'paper'],
  ['ink', 'card'],
  ['ink', 'wash'],
  ['ink', 'flash'],
  ['ink-soft', 'paper'],
  ['ink-soft', 'card'],
  ['ink-soft', 'wash'],
  ['ink-soft', 'flash'],
  ['accent', 'paper'],
  ['accent', 'card'],
  ['on-accent', 'accent'],
  ['failing-ink', 'failing-wash'],
  ['failing-ink', 'paper'],
]

/** Shapes and edges that must be seen, though no text depends on them alone: WCAG 1.4.11. */
const SHAPES: [shape: string, surface: string][] = [
  ['fresh', 'paper'],
  ['fresh', 'card'],
  ['invalidated', 'paper'],
  ['invalidated', 'card'],
  ['failing', 'failing-wash'],
  ['edge', 'paper'],
  ['edge', 'card'],
  ['accent', 'card'],
]

describe.each<Scheme>(['light', 'dark'])('%s', (scheme) => {
  test.each(TEXTS)('text in %s on %s can be read: at least 4.5 to 1', (text, surface) => {
    expect(contrast(colour(text, scheme), colour(surface, scheme))).toBeGreaterThanOrEqual(4.5)
  })
  test.each(SHAPES)('%s on %s can be seen: at least 3 to 1', (shape, surface) => {
    expect(contrast(colour(shape, scheme), colour(surface, scheme))).toBeGreaterThanOrEqual(3)
  })
})

test('black on white is 21 to 1, so the arithmetic is right', () => {
  expect(contrast(luminance(0, 0, 0), luminance(1, 0, 0))).toBeCloseTo(21, 1)
  // sRGB #767676, the grey that just passes on white.
  expect(contrast(luminance(0.5659, 0, 0), luminance(1, 0, 0))).toBeCloseTo(4.54, 1)
})

test('no colour stands outside of theme.css', () => {
  const styles = ['style.css', 'reading.css', 'panel.css'].map((file) =>
    readFileSync(new URL(`../page/${file}`, import.meta.url), 'utf8'),
  )
  const literal = styles.join('').match(/#[0-9a-f]{3,8}\b|\b(rgb|hsl|oklch|oklab|color)a?\([^)]*\)/gi) ?? []
  expect(literal).toEqual([])
})

function colour(name: string, scheme: Scheme): number {
  const value = new RegExp(`--${name}:\\s*([^;]+);`).exec(css)?.[1]
  if (value === undefined) throw new Error(`theme.css has no --${name}`)
  const forms = [...value.matchAll(/oklch\(([\d.]+) ([\d.]+) ([\d.]+)\)/g)]
  const [, l, c, h] = forms[scheme === 'dark' ? forms.length - 1 : 0]!
  return luminance(Number(l), Number(c), Number(h))
}

/** Relative luminance of an OKLCH colour (Björn Ottosson's matrices, CSS Color 4), clipped to sRGB. */
function luminance(lightness: number, chroma: number, hue: number): number {
  const a = chroma * Math.cos((hue * Math.PI) / 180)
  const b = chroma * Math.sin((hue * Math.PI) / 180)
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3
  const clip = (value: number) => Math.min(1, Math.max(0, value))
  const red = clip(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s)
  const green = clip(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s)
  const blue = clip(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s)
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

function contrast(one: number, other: number): number {
  return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05)
}
