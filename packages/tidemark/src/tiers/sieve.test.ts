import { expect, test } from 'vitest'
import { Sieve } from './sieve.js'

function sieveOf(slots: number): Sieve {
  const sieve = new Sieve()
  sieve.resize(slots)
  for (let slot = 0; slot < slots; slot++) sieve.insert(slot)
  return sieve
}

function evict(sieve: Sieve): number {
  const victim = sieve.victim()
  if (victim !== -1) sieve.remove(victim)
  return victim
}

test('what nobody reads leaves in the order in which it came', () => {
  const sieve = sieveOf(3)
  expect([evict(sieve), evict(sieve), evict(sieve), evict(sieve)]).toEqual([0, 1, 2, -1])
})

test('what was read is passed over once, and stays where it is', () => {
  // The example of the paper (figure 1): after a pass the hand goes on from where it stopped.
  const sieve = sieveOf(5)
  sieve.hit(0)
  sieve.hit(2)
  expect(evict(sieve)).toBe(1)
  expect(evict(sieve)).toBe(3)
  sieve.hit(4)
  expect(evict(sieve)).toBe(0)
  expect(evict(sieve)).toBe(2)
  expect(evict(sieve)).toBe(4)
})

test('where all were read, the hand comes round to the oldest', () => {
  const sieve = sieveOf(4)
  for (let slot = 0; slot < 4; slot++) sieve.hit(slot)
  expect(evict(sieve)).toBe(0)
})

test('the hand moves on when what it points at is removed', () => {
  const sieve = sieveOf(4)
  sieve.hit(0)
  expect(sieve.victim()).toBe(1)
  sieve.remove(1)
  expect(sieve.victim()).toBe(2)
  sieve.remove(3)
  sieve.remove(2)
  expect(sieve.victim()).toBe(0)
})

test('one pass of reads once does not push out what is read again and again', () => {
  const sieve = sieveOf(10)
  const kept = new Set(Array.from({ length: 10 }, (_, slot) => slot))
  const hot = [1, 4, 7]
  for (let round = 0; round < 100; round++) {
    for (const slot of hot) sieve.hit(slot)
    const victim = evict(sieve)
    kept.delete(victim)
    sieve.insert(victim)
    kept.add(victim)
    expect(hot).not.toContain(victim)
  }
})
