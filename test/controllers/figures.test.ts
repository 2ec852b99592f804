/** What the controllers tell at `/metrics`: real controllers on a real store. */
import { expect, test } from 'vitest'
import { INSTANCETYPES, VMIMS, VMS } from '../../src/kinds/table.ts'
import { openMetrics } from '../../src/metrics/exposition.ts'
import { buildVm, startWorld, type WorldOptions } from '../helpers/controllers.ts'
import { parseExposition, readText, valueOf } from '../helpers/exposition.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { turnUntil } from '../helpers/fake-clock.ts'
import { silentLog } from '../helpers/object-registry.ts'

const ID = { name: 'web', namespace: 'default' }
const STARTING = 'kubevirt_vm_starting_status_last_transition_timestamp_seconds'
const RUNNING = 'kubevirt_vm_running_status_last_transition_timestamp_seconds'

async function serve(options: WorldOptions = {}) {
  const metrics = openMetrics({ clock: systemClock, log: silentLog })
  const world = await startWorld({ ...options, metrics })
  const samplesOf = (text: string, family: string) => parseExposition(text).get(family)?.samples ?? []
  return { world, read: () => readText(metrics), samplesOf }
}

test('a VM and its instance are told as they are, from its creation to its end', async () => {
  const { world, read, samplesOf } = await serve()
  const { store, clock, node } = world
  const before = samplesCount(await read())
  await store.create(VMS, {
    ...buildVm('web', 'Always'),
    metadata: { ...ID, labels: { 'app.kubernetes.io/tier': 'front' } },
  })
  clock.advance(3000)
  const { metadata } = await world.boot('web')
  const vm = await world.vmUntil('web', ({ status }) => status?.printableStatus === 'Running')
  const text = await read()
  expect(samplesOf(text, 'kubevirt_vm_info')).toMatchObject([
    {
      labels: {
        ...ID,
        os: '<none>',
        workload: '<none>',
        flavor: '<none>',
        instance_type: '<none>',
        preference: '<none>',
        status: 'running',
        status_group: 'running',
      },
      value: 1,
    },
  ])
  const ready = vm.status?.conditions?.find(({ type }) => type === 'Ready')
  expect(valueOf(text, RUNNING, ID)).toBe(Date.parse(ready?.lastTransitionTime ?? '') / 1000)
  expect(valueOf(text, STARTING, ID)).toBe(0)
  expect(samplesOf(text, 'kubevirt_vm_labels')[0]?.labels).toEqual({
    ...ID,
    label_app_kubernetes_io_tier: 'front',
  })
  expect(samplesOf(text, 'kubevirt_vmi_info')).toMatchObject([
    { labels: { ...ID, node: 'node-a', phase: 'running', evictable: 'true', outdated: 'false' }, value: 1 },
  ])
  expect(samplesOf(text, 'kubevirt_vmi_info')[0]?.labels).not.toHaveProperty('vmi_pod')
  const asked = { ...ID, resource: 'memory', unit: 'bytes', source: 'guest' }
  expect(valueOf(text, 'kubevirt_vm_resource_requests', asked)).toBe(128 * 1024 ** 2)
  const reached = { phase: 'Running' }
  const fromCreation = 'kubevirt_vmi_phase_transition_time_from_creation_seconds'
  expect(valueOf(text, `${fromCreation}_count`, reached)).toBe(1)
  expect(valueOf(text, 'kubevirt_vmi_sync_total', ID)).toBeGreaterThan(1)
  await store.delete(VMS, 'default', 'web')
  await turnUntil(() => node.removes.length > 0)
  node.finish(metadata.uid)
  await world.vmiGone('web')
  await turnUntil(async () => samplesCount(await read()) === before)
})

/** Series of VMs: those of queues and histograms have no names of objects. */
function samplesCount(text: string): number {
  const samples = [...parseExposition(text).values()].flatMap((family) => family.samples)
  return samples.filter(({ labels }) => labels['name'] === 'web').length
}

test('time from phase to phase is told, in fine steps besides', async () => {
  const { world, read } = await serve()
  const { store, clock, node } = world
  await store.create(VMS, buildVm('web', 'Always'))
  const { metadata } = await world.vmiUntil('web', ({ status }) => status?.phase === 'Scheduled')
  clock.advance(7000)
  node.tell(metadata.uid, { phase: 'Running' })
  await world.vmiUntil('web', ({ status }) => status?.phase === 'Running')
  const labels = { phase: 'Running', last_phase: 'Scheduled' }
  const text = await turnUntil(async () => {
    const now = await read()
    return valueOf(now, 'kubevirt_vmi_phase_transition_time_seconds_count', labels) === 1 && now
  })
  expect(valueOf(text, 'kubevirt_vmi_phase_transition_time_seconds_sum', labels)).toBe(7)
  const bucket = (le: string) =>
    valueOf(text, 'kubevirt_vmi_phase_transition_time_seconds_bucket', { ...labels, le })
  expect([bucket('5'), bucket('10')]).toEqual([0, 1])
  expect(valueOf(text, 'virtgate_vmi_phase_transition_seconds_sum', labels)).toBe(7)
})

test('what an instance type says counts as asked for', async () => {
  const { world, read } = await serve()
  const { store } = world
  const KIND = 'VirtualMachineInstancetype'
  await store.create(INSTANCETYPES, {
    apiVersion: 'instancetype.kubevirt.io/v1beta1',
    kind: KIND,
    metadata: { namespace: 'default', name: 'small' },
    spec: { cpu: { guest: 2 }, memory: { guest: '256Mi' } },
  })
  await store.create(
    VMS,
    buildVm('web', 'Halted', {
      instancetype: { name: 'small', kind: KIND },
      template: { spec: { domain: { devices: {} } } },
    }),
  )
  const asked = { ...ID, resource: 'memory', unit: 'bytes', source: 'guest' }
  const text = await turnUntil(async () => {
    const now = await read()
    return valueOf(now, 'kubevirt_vm_resource_requests', asked) !== undefined && now
  })
  expect(valueOf(text, 'kubevirt_vm_resource_requests', asked)).toBe(256 * 1024 ** 2)
  const sockets = { ...ID, resource: 'cpu', unit: 'sockets', source: 'domain' }
  expect(valueOf(text, 'kubevirt_vm_resource_requests', sockets)).toBe(2)
})

test('a migration is counted where it is, once somebody has looked at it', async () => {
  const { world, read } = await serve()
  const { store } = world
  await store.create(VMS, buildVm('web', 'Always'))
  await world.boot('web')
  await store.create(VMIMS, {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstanceMigration',
    metadata: { namespace: 'default', name: 'move' },
    spec: { vmiName: 'web' },
  })
  const found = await turnUntil(async () => {
    const text = await read()
    const phases = ['pending', 'scheduling', 'running']
    const counts = phases.map((phase) => valueOf(text, `kubevirt_vmi_migrations_in_${phase}_phase`))
    const failed = valueOf(text, 'kubevirt_vmi_migration_failed', {
      vmi: 'web',
      vmim: 'move',
      namespace: 'default',
    })
    return counts.reduce<number>((sum, count) => sum + (count ?? 0), failed ?? 0) === 1 && text
  })
  expect(valueOf(found, 'kubevirt_vmi_migrations_in_unset_phase')).toBe(0)
})

test('who leads no more tells nothing of objects', async () => {
  const metrics = openMetrics({ clock: systemClock, log: silentLog })
  const world = await startWorld({ metrics })
  await world.store.create(VMS, buildVm('web', 'Halted'))
  await turnUntil(async () => (await readText(metrics)).includes('kubevirt_vm_info{'))
  await world.stop()
  expect(samplesCount(await readText(metrics))).toBe(0)
})
