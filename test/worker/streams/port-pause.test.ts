import { PassThrough } from 'node:stream'
import { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { PortPause } from '../../../src/worker/streams/port-pause.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'

function setUp() {
  const clock = createFakeClock()
  const port = new Socket()
  return { clock, port, pause: new PortPause(clock) }
}

test('a port is left unread until all who asked for time have room again', () => {
  const { clock, port, pause } = setUp()
  const [one, other] = [new PassThrough(), new PassThrough()]
  pause.waitFor(one, port)
  pause.waitFor(other, port)
  expect(port.isPaused()).toBe(true)
  pause.goOn(one)
  expect(port.isPaused()).toBe(true)
  pause.goOn(other)
  expect(port.isPaused()).toBe(false)
  expect(clock.pending()).toBe(0)
})

test('a port is never left unread for longer than 10 ms, whoever is slow', () => {
  const { clock, port, pause } = setUp()
  const slow = new PassThrough()
  pause.waitFor(slow, port)
  clock.advance(9)
  expect(port.isPaused()).toBe(true)
  clock.advance(1)
  expect(port.isPaused()).toBe(false)
  pause.goOn(slow)
  expect(port.isPaused()).toBe(false)
})
