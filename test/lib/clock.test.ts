import { expect, test } from 'vitest'
import { formatTime, systemClock, wait } from '../../src/lib/clock.ts'
import { createFakeClock } from '../helpers/fake-clock.ts'

test('times are written in UTC, in whole seconds', () => {
  expect(formatTime(1_767_225_600_999)).toBe('2026-01-01T00:00:00Z')
})

test('a wait ends when its time has come and leaves no timer', async () => {
  const clock = createFakeClock()
  const waiting = wait(clock, 50, new AbortController().signal)
  clock.advance(50)
  await waiting
  expect(clock.pending()).toBe(0)
})

test('a wait ends when its signal aborts and leaves no timer', async () => {
  const clock = createFakeClock()
  const stop = new AbortController()
  const waiting = wait(clock, 50, stop.signal)
  stop.abort()
  await waiting
  await wait(clock, 50, stop.signal)
  expect(clock.pending()).toBe(0)
})

test('the machine’s clock calls once, and not when it was told otherwise', async () => {
  const called: string[] = []
  using _never = systemClock.after(0, () => called.push('kept'))
  systemClock.after(0, () => called.push('cancelled'))[Symbol.dispose]()
  await new Promise<void>((resolve) => systemClock.after(5, resolve))
  expect(called).toEqual(['kept'])
})
