import { setImmediate } from 'node:timers/promises'
import { assert, asyncProperty, string } from 'fast-check'
import { expect, test } from 'vitest'
import { openMetrics } from '../../src/metrics/exposition.ts'
import type { Reading } from '../../src/metrics/reading.ts'
import { memoryLog } from '../helpers/api.ts'
import { createFakeClock } from '../helpers/fake-clock.ts'
import { parseExposition, readText, valueOf } from '../helpers/exposition.ts'

const INFO = 'virtgate_build_info'

function serve(limitMs?: number) {
  const log = memoryLog()
  const clock = createFakeClock()
  return { log, clock, metrics: openMetrics({ clock, log, ...(limitMs !== undefined && { limitMs }) }) }
}

const info = (version: string): Reading => ({ name: INFO, labels: { version }, value: 1 })

test('what any source says comes out as it went in, whatever a guest calls itself', async () => {
  await assert(
    asyncProperty(string({ unit: 'binary', maxLength: 50 }), async (version) => {
      const { metrics } = serve()
      metrics.add({ source: 'test', collect: () => [info(version)] })
      const labels = version === '' ? {} : { version }
      expect(valueOf(await readText(metrics), INFO, labels)).toBe(1)
    }),
    { numRuns: 200 },
  )
})

test('a label is cut at 1024 bytes, between characters', async () => {
  const { metrics } = serve()
  metrics.add({ source: 'test', collect: () => [info('ü'.repeat(600)), info(`x${'ü'.repeat(600)}`)] })
  const { samples = [] } = parseExposition(await readText(metrics)).get(INFO) ?? {}
  const lengths = samples.map(({ labels }) => Buffer.byteLength(labels.version ?? ''))
  expect(lengths).toEqual([1024, 1023])
})

test('a source that fails or hangs keeps nobody from the others', async () => {
  const { metrics, clock, log } = serve(1000)
  let isAborted = false
  metrics.add({ source: 'good', collect: () => [info('1')] })
  metrics.add({ source: 'broken', collect: () => Promise.reject(new Error('no')) })
  metrics.add({
    source: 'stuck',
    collect(signal) {
      signal.addEventListener('abort', () => (isAborted = true))
      return new Promise(() => {})
    },
  })
  const text = readText(metrics)
  // What answers at once has done so.
  await setImmediate()
  clock.advance(1000)
  expect(valueOf(await text, INFO, { version: '1' })).toBe(1)
  expect(isAborted).toBe(true)
  expect(log.lines.map(({ fields }) => fields)).toMatchObject([{ source: 'broken' }, { source: 'stuck' }])
})

test('a source is read until it is disposed of', async () => {
  const { metrics } = serve()
  const source = metrics.add({ source: 'test', collect: () => [info('1')] })
  source[Symbol.dispose]()
  expect(await readText(metrics)).not.toContain(INFO)
})

test('a family that nobody has declared is left out', async () => {
  const { metrics } = serve()
  metrics.add({ source: 'test', collect: () => [{ name: 'made_up', labels: {}, value: 1 }] })
  expect(await readText(metrics)).not.toContain('made_up')
})

test('a counter goes on for whoever asks for it again, and its series can be removed', async () => {
  const { metrics } = serve()
  const name = 'kubevirt_vm_created_by_pod_total'
  metrics.counter(name).add({ namespace: 'ns1' })
  metrics.counter(name).add({ namespace: 'ns1' }, 2)
  metrics.counter(name).add({ namespace: 'ns2' })
  expect(valueOf(await readText(metrics), name, { namespace: 'ns1' })).toBe(3)
  metrics.counter(name).remove({ namespace: 'ns1' })
  expect(parseExposition(await readText(metrics)).get(name)).toEqual({
    type: 'counter',
    samples: [{ name, labels: { namespace: 'ns2' }, value: 1 }],
  })
})
