import { expect, test } from 'vitest'
import { QmpError } from '../../../src/qemu/qmp/client.ts'
import { readDisks, readMemory, readVcpus, type Monitor } from '../../../src/worker/figures/qemu.ts'

/** Answers as it is told, and writes down what it was asked. */
function monitorOf(answers: Record<string, unknown>): Monitor & { asked: [string, object | undefined][] } {
  const asked: [string, object | undefined][] = []
  return {
    asked,
    async command<T>(name: string, args?: object): Promise<T> {
      asked.push([name, args])
      const answer = answers[name]
      if (answer instanceof Error) throw answer
      // The test says what QEMU answers.
      return answer as T
    },
  }
}

const UNSET = 18_446_744_073_709_551_615n
const STATS = {
  'last-update': 1_700_000_000,
  stats: {
    'stat-total-memory': 1000,
    'stat-available-memory': 900,
    'stat-free-memory': 800,
    'stat-disk-caches': UNSET,
    'stat-swap-in': 0,
    'stat-swap-out': 0,
    'stat-major-faults': 3,
    'stat-minor-faults': 4,
    'stat-htlb-pgalloc': 5,
  },
}

test('threads of virtual CPUs are found by their numbers', async () => {
  const monitor = monitorOf({ 'query-cpus-fast': [{ 'cpu-index': 0, 'thread-id': 4711 }] })
  expect(await readVcpus(monitor)).toEqual([{ id: '0', threadId: 4711 }])
})

test('disks of the spec are told by their names, in bytes and seconds; others are not', async () => {
  const stats = { rd_operations: 7, wr_bytes: 512, flush_total_time_ns: 1_500_000_000 }
  const monitor = monitorOf({
    'query-blockstats': [
      { qdev: '/machine/peripheral/ua-root/virtio-backend', stats },
      { qdev: 'ua-data', stats: { rd_operations: 1 } },
      { qdev: '/machine/unattached/device[1]', stats },
      { stats },
    ],
  })
  expect(await readDisks(monitor)).toEqual([
    { drive: 'root', series: 'iops_read_total', value: 7 },
    { drive: 'root', series: 'write_traffic_bytes_total', value: 512 },
    { drive: 'root', series: 'flush_times_seconds_total', value: 1.5 },
    { drive: 'data', series: 'iops_read_total', value: 1 },
  ])
})

test('memory is told as the guest says; what it has not said is left out', async () => {
  const monitor = monitorOf({ 'query-balloon': { actual: 2000 }, 'qom-get': STATS })
  expect(await readMemory(monitor)).toEqual([
    { series: 'actual_balloon_bytes', value: 2000 },
    { series: 'available_bytes', value: 1000 },
    { series: 'usable_bytes', value: 900 },
    { series: 'unused_bytes', value: 800 },
    { series: 'swap_in_traffic_bytes', value: 0 },
    { series: 'swap_out_traffic_bytes', value: 0 },
    { series: 'pgmajfault_total', value: 3 },
    { series: 'pgminfault_total', value: 4 },
  ])
})

test('a guest that has said nothing yet is asked to, and nothing is made up', async () => {
  const monitor = monitorOf({ 'query-balloon': { actual: 2000 }, 'qom-get': { 'last-update': 0, stats: {} } })
  expect(await readMemory(monitor)).toEqual([{ series: 'actual_balloon_bytes', value: 2000 }])
  expect(monitor.asked.at(-1)).toEqual([
    'qom-set',
    { path: '/machine/peripheral/balloon0', property: 'guest-stats-polling-interval', value: 10 },
  ])
})

test('a guest without a balloon is left alone', async () => {
  const monitor = monitorOf({
    'query-balloon': new QmpError('query-balloon', 'DeviceNotActive', 'No balloon'),
  })
  expect(await readMemory(monitor)).toEqual([])
  expect(monitor.asked).toHaveLength(1)
})
