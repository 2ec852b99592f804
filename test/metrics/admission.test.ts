/** What is told of reviews and of the questions that they take. */
import Fastify from 'fastify'
import { expect, test } from 'vitest'
import { registerWebhooks } from '../../src/http/webhook-routes.ts'
import { watchAdmission } from '../../src/metrics/admission.ts'
import { openMetrics } from '../../src/metrics/exposition.ts'
import { memoryLog } from '../helpers/api.ts'
import { parseExposition, readText, valueOf } from '../helpers/exposition.ts'
import { createFakeClock } from '../helpers/fake-clock.ts'
import { readTargets, recordedParts, reviewOf } from '../helpers/vectors.ts'

const PATH = '/virtualmachines-validate'
const VALIDATING = { resource: 'virtualmachines', type: 'validating' }
const REJECTIONS = 'virtgate_admission_rejections_total'

function watched() {
  const metrics = openMetrics({ clock: createFakeClock(), log: memoryLog() })
  return { watch: watchAdmission(metrics), read: () => readText(metrics) }
}

test('reviews are told by what was reviewed, refused ones by the rule that was broken', async () => {
  const { watch, read } = watched()
  const app = Fastify()
  registerWebhooks(app, { admission: recordedParts('default'), log: memoryLog(), watch })
  const target = Object.values(readTargets()).find(({ path }) => path === PATH)
  if (!target) throw new Error('there is no VM among the targets')
  const post = (payload: unknown) =>
    app.inject({
      method: 'POST',
      url: PATH,
      payload: JSON.stringify(payload),
      headers: { 'content-type': 'application/json' },
    })
  const review = (...disks: object[]) =>
    reviewOf(target, {
      apiVersion: 'kubevirt.io/v1',
      kind: 'VirtualMachine',
      metadata: { name: 'a', namespace: 'default' },
      spec: { runStrategy: 'Halted', template: { spec: { domain: { devices: { disks } } } } },
    })
  await post(review())
  await post(review({ name: 'lost', disk: {} }))
  await post(review({ name: 'other', disk: {} }, { name: 'lost', disk: {} }))
  await post({})
  const text = await read()
  const durations = 'virtgate_admission_duration_seconds_count'
  expect(valueOf(text, durations, { ...VALIDATING, allowed: 'true' })).toBe(1)
  expect(valueOf(text, durations, { ...VALIDATING, allowed: 'false' })).toBe(3)
  const told = parseExposition(text).get(REJECTIONS)?.samples ?? []
  expect(told.map(({ labels, value }) => ({ ...labels, value }))).toEqual([
    {
      ...VALIDATING,
      code: '422',
      reason: 'FieldValueInvalid',
      field: 'spec.template.spec.domain.devices.disks.name',
      value: 2,
    },
    { ...VALIDATING, code: '400', value: 1 },
  ])
})

test('whatever fields are refused for, the series stay few', async () => {
  const { watch, read } = watched()
  for (let i = 0; i < 5000; i += 1) {
    watch({ resource: 'a', type: 'write' }, 1, { code: 422, causes: [{ reason: 'r', field: `f${i}` }] })
  }
  const told = parseExposition(await read()).get(REJECTIONS)?.samples ?? []
  expect(told.length).toBeLessThan(1100)
  expect(told.reduce((sum, { value }) => sum + value, 0)).toBe(5000)
})
