import fc from 'fast-check'
import type { L2Fill } from 'tidemark'
import { expect, test } from 'vitest'
import { Envelope, type EnvelopeOptions, type Sealed } from './envelope.js'
import { CHECKSUM_AT, FILL_BYTES, POSITION_AT, STORED_AT } from './scripts/layout.js'
import { msgpack } from './serializer.js'

// An entry might come back as another one if a byte of it is damaged, or if another serializer or a newer version wrote it; it might grow
// without a limit when it is decompressed.

const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 2_000)
const BYTES_MAX = 100_000
/** When it was stored, by Redis's clock. */
const STORED = 1_790_000_000_000

const fill: L2Fill = {
  epoch: 'e',
  lsn: 7,
  value: { title: 'x'.repeat(300), at: new Date(3) },
  dependencies: [{ kind: 'tag', tenant: 'default', tag: 'a' }],
  stamps: [
    { shape: 'tag', name: 'a' },
    { shape: 'tag', name: 'b' },
    { shape: 'key', name: 'a' },
  ],
  ageMs: 5,
  remainingMs: 1_000.5,
}

test('an entry comes back, older by the time that passed in Redis', async () => {
  for (const compressAbove of [0, Infinity]) {
    const envelope = made({ compressAbove })
    const sealed = await sealedBy(envelope, fill)
    const { value, dependencies } = fill
    expect([sealed.bytes.readDoubleBE(1), sealed.bytes.readDoubleBE(9), sealed.shapes]).toEqual([
      7,
      1_000,
      ['tag', 'key'],
    ])
    expect(await envelope.open(inRedis(sealed), STORED + 100)).toEqual({
      value,
      lsn: 9,
      dependencies,
      ageMs: 105,
      remainingMs: 900.5,
    })
    const forever = await sealedBy(envelope, { ...fill, remainingMs: Infinity })
    expect((await envelope.open(inRedis(forever), STORED + 10))?.remainingMs).toBe(Infinity)
  }
})

test('a byte that is damaged, or missing, is no entry', async () => {
  const envelope = made({})
  const whole = inRedis(await sealedBy(envelope, fill))
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 255 }), async (place, change) => {
      // The mark and the generation are the script's to check.
      const at = POSITION_AT + (place % (whole.length - POSITION_AT))
      const damaged = Buffer.from(whole)
      damaged[at]! ^= change
      expect(await envelope.open(damaged, STORED + 100)).toBeUndefined()
      expect(await envelope.open(whole.subarray(0, at), STORED + 100)).toBeUndefined()
    }),
    { numRuns: RUNS },
  )
})

test("another serializer's entry is none", async () => {
  const whole = inRedis(await sealedBy(made({}), fill))
  const other = { ...msgpack(BYTES_MAX), name: 'other' }
  expect(await made({ serializer: other }).open(whole, STORED + 100)).toBeUndefined()
})

test('what decompresses to more than the limit is none', async () => {
  const value = 'x'.repeat(50_000)
  const whole = inRedis(await sealedBy(made({ compressAbove: 0 }), { ...fill, value }))
  expect(whole.length).toBeLessThan(1_000)
  expect(await made({ bytesMax: 40_000 }).open(whole, STORED + 100)).toBeUndefined()
  expect((await made({}).open(whole, STORED + 100))?.value).toBe(value)
})

test('says why an entry is not stored', async () => {
  const envelope = made({})
  class Own {}
  const stamps = Array.from({ length: 5_000 }, (_, i) => ({ shape: 'tag', name: `${i}` }))
  expect(await envelope.seal({ ...fill, value: 'x'.repeat(BYTES_MAX) })).toBe('too-large')
  expect(await envelope.seal({ ...fill, value: new Own() })).toBe('not-serializable')
  expect(await envelope.seal({ ...fill, stamps })).toBe('too-many-dependencies')
  expect(await envelope.seal({ ...fill, remainingMs: 0.5 })).toBe('expired')
})

function made(options: Partial<EnvelopeOptions>): Envelope {
  return new Envelope({
    serializer: msgpack(BYTES_MAX),
    compressAbove: Infinity,
    bytesMax: BYTES_MAX,
    keepMaxMs: 10_000,
    ...options,
  })
}

async function sealedBy(envelope: Envelope, entry: L2Fill): Promise<Sealed> {
  const sealed = await envelope.seal(entry)
  if (typeof sealed === 'string') throw new Error(sealed)
  return sealed
}

/** As the script puts it together. */
function inRedis(sealed: Sealed): Buffer {
  const head = Buffer.alloc(CHECKSUM_AT)
  for (const [at, number] of [
    [POSITION_AT, 9],
    [STORED_AT, STORED],
  ] as const) {
    head.writeDoubleBE(number, at)
    head.writeDoubleBE(-1 - number, at + 8)
  }
  return Buffer.concat([head, sealed.bytes.subarray(FILL_BYTES)])
}
