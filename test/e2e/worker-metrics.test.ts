/** Figures of real guests. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Worker } from '../../src/worker/worker.ts'
import type { Reading } from '../../src/metrics/reading.ts'
import { FAMILIES } from '../../src/metrics/families/index.ts'
import { requireQemu } from '../helpers/guest.ts'
import { eventually } from '../helpers/server.ts'
import {
  guestVmi,
  pidOf,
  removeAll,
  requestFor,
  type WorkerHome,
  type WorkerWatch,
  openRealWorker,
  type RealWorker,
} from '../helpers/worker.ts'

requireQemu()('the figures of guests', () => {
  let real: RealWorker | undefined
  let home: WorkerHome
  let worker: Worker
  let watch: WorkerWatch

  beforeAll(async () => {
    real = await openRealWorker()
    ;({ home, worker, watch } = real)
  })
  afterAll(() => real?.[Symbol.asyncDispose]())

  async function boot(name: string) {
    const vmi = guestVmi(name, {
      volumes: [{ name: 'scratch', emptyDisk: { capacity: '16Mi' } }],
    })
    vmi.metadata.labels = { 'app.kubernetes.io/tier': 'front' }
    vmi.spec.domain.devices.disks = [{ name: 'scratch', disk: { bus: 'virtio' } }]
    await worker.sync(requestFor(vmi))
    await watch.report(vmi.metadata.uid, ({ phase }) => phase === 'Running')
    return vmi
  }

  function valueOf(readings: readonly Reading[], name: string, vmi: string): number | undefined {
    return readings.find((reading) => reading.name === name && reading.labels['name'] === vmi)?.value
  }

  test('a running guest is told of: CPU, memory, disks; what nobody knows is left out', async () => {
    const vmi = await boot('alpha')
    const readings = await eventually('its memory is told', 60_000, async () => {
      const found = await worker.metrics()
      const cpu = valueOf(found, 'kubevirt_vmi_cpu_usage_seconds_total', 'alpha') ?? 0
      return cpu > 0.5 && found
    })
    expect(readings.filter(({ name }) => !Object.hasOwn(FAMILIES, name))).toEqual([])
    const ofNode = readings.filter(({ labels }) => !('name' in labels))
    const { accelerator } = await worker.info()
    const isKvm = accelerator === 'kvm' ? 1 : 0
    expect(ofNode).toContainEqual({ name: 'virtgate_node_kvm', labels: { node: 'test-node' }, value: isKvm })
    for (const { labels } of readings.filter((reading) => !ofNode.includes(reading))) {
      expect(labels).toMatchObject({
        node: 'test-node',
        namespace: vmi.metadata.namespace,
        name: 'alpha',
        kubernetes_vmi_label_app_kubernetes_io_tier: 'front',
      })
    }
    const of = (name: string) => valueOf(readings, name, 'alpha')
    const bytes = of('kubevirt_vmi_memory_domain_bytes') ?? 0
    expect(bytes).toBeGreaterThan(64 * 1024 ** 2)
    expect(of('kubevirt_vmi_memory_resident_bytes')).toBeGreaterThan(16 * 1024 ** 2)
    // Of an emulated guest a little more than it asked for (docs/decisions, 2026-11-21).
    expect(of('kubevirt_vmi_memory_actual_balloon_bytes')).toBe(bytes + 8192)
    const [user, system, total] = ['user_usage', 'system_usage', 'usage'].map(
      (what) => of(`kubevirt_vmi_cpu_${what}_seconds_total`) ?? Number.NaN,
    )
    expect(total).toBeCloseTo((user ?? 0) + (system ?? 0), 5)
    expect(of('kubevirt_vmi_vcpu_seconds_total')).toBeGreaterThan(0)
    expect(of('kubevirt_vmi_vcpu_seconds_total')).toBeLessThanOrEqual((total ?? 0) + 1)
    const drives = readings.filter(({ name }) => name === 'kubevirt_vmi_storage_iops_read_total')
    expect(drives.map(({ labels }) => labels['drive'])).toEqual(['scratch'])
    // No card on a bridge, no agent, no migration.
    expect(readings.filter(({ name }) => /network|filesystem|migration/.test(name))).toEqual([])
  })

  test('a guest whose QEMU hangs keeps nobody from the figures of the others', async () => {
    const { metadata } = await boot('beta')
    const pid = pidOf(home, metadata.uid)
    if (pid === undefined) throw new Error('beta has no process')
    process.kill(pid, 'SIGSTOP')
    try {
      for (const round of [1, 2]) {
        const began = performance.now()
        const readings = await worker.metrics()
        // The first time it is waited for, for 2 s; from then on it owes an answer.
        expect(performance.now() - began).toBeLessThan(round === 1 ? 5000 : 2000)
        expect(valueOf(readings, 'kubevirt_vmi_memory_actual_balloon_bytes', 'alpha')).toBeGreaterThan(0)
        expect(valueOf(readings, 'kubevirt_vmi_memory_actual_balloon_bytes', 'beta')).toBeUndefined()
      }
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    await eventually('it is told of again', 20_000, async () => {
      const readings = await worker.metrics()
      return valueOf(readings, 'kubevirt_vmi_memory_actual_balloon_bytes', 'beta') !== undefined
    })
  })

  test('the series of a guest that is gone are gone', async () => {
    const before = (await worker.metrics()).filter(({ labels }) => labels['name'] === 'alpha')
    const [{ labels } = { labels: {} }] = before
    expect(labels).toHaveProperty('name', 'alpha')
    await removeAll(worker)
    const areLeft = (readings: Reading[]) => readings.some((reading) => Object.hasOwn(reading.labels, 'name'))
    await eventually('nothing is told of it', 20_000, async () => !areLeft(await worker.metrics()))
  })
})
