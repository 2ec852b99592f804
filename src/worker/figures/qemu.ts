/** What QEMU tells of its guest. Source: the QMP reference: `query-cpus-fast`, `query-blockstats`, `query-balloon`. */
import { isRecord, type JsonRecord } from '../../lib/json.ts'
import { QmpError } from '../../qemu/qmp/client.ts'

/** What commands are sent to. */
export interface Monitor {
  command<T = unknown>(name: string, args?: object): Promise<T>
}

/** A value that a guest has not set: 2^64 - 1. */
const UNSET = 2 ** 64
const BALLOON = '/machine/peripheral/balloon0'
/** How often the guest is asked for its figures of memory. */
const POLL_SECONDS = 10
const NS = 1e-9

/** Threads of the virtual CPUs by their numbers. Throws as `Machine.command`. */
export async function readVcpus(monitor: Monitor): Promise<{ id: string; threadId: number }[]> {
  const cpus = await monitor.command<JsonRecord[]>('query-cpus-fast')
  return cpus.map((cpu) => ({ id: String(cpu['cpu-index']), threadId: Number(cpu['thread-id']) }))
}

/** Series of a disk by what QEMU calls the figure; times are in nanoseconds. */
const DISK: readonly [figure: string, series: string, scale: number][] = [
  ['rd_operations', 'iops_read_total', 1],
  ['wr_operations', 'iops_write_total', 1],
  ['rd_bytes', 'read_traffic_bytes_total', 1],
  ['wr_bytes', 'write_traffic_bytes_total', 1],
  ['rd_total_time_ns', 'read_times_seconds_total', NS],
  ['wr_total_time_ns', 'write_times_seconds_total', NS],
  ['flush_operations', 'flush_requests_total', 1],
  ['flush_total_time_ns', 'flush_times_seconds_total', NS],
]

/** A figure of one disk; `series` goes behind `kubevirt_vmi_storage_`. */
export interface DiskFigure {
  drive: string
  series: string
  value: number
}

/** Of every disk of the guest, by its name in the spec. Throws as `Machine.command`. */
export async function readDisks(monitor: Monitor): Promise<DiskFigure[]> {
  const disks = await monitor.command<JsonRecord[]>('query-blockstats')
  return disks.flatMap(({ qdev, stats }) => {
    // Devices that stand in the spec have its names.
    const [, drive] = /(?:^|\/)ua-([^/]+)/.exec(typeof qdev === 'string' ? qdev : '') ?? []
    if (drive === undefined || !isRecord(stats)) return []
    return DISK.flatMap(([figure, series, scale]) => {
      const value = stats[figure]
      return isCount(value) ? [{ drive, series, value: Number(value) * scale }] : []
    })
  })
}

/** Series of memory by what the guest calls the figure. */
const MEMORY: readonly [figure: string, series: string][] = [
  ['stat-total-memory', 'available_bytes'],
  ['stat-available-memory', 'usable_bytes'],
  ['stat-free-memory', 'unused_bytes'],
  ['stat-disk-caches', 'cached_bytes'],
  ['stat-swap-in', 'swap_in_traffic_bytes'],
  ['stat-swap-out', 'swap_out_traffic_bytes'],
  ['stat-major-faults', 'pgmajfault_total'],
  ['stat-minor-faults', 'pgminfault_total'],
]

/** A figure of memory; `series` goes behind `kubevirt_vmi_memory_`. */
export interface MemoryFigure {
  series: string
  value: number
}

/**
 * The size of the balloon, and what the guest's driver says of its memory: it is asked to say so every 10 s from the first
 * time on. Nothing where the guest has no balloon. Throws as `Machine.command`.
 */
export async function readMemory(monitor: Monitor): Promise<MemoryFigure[]> {
  const balloon = await unlessRefused(monitor.command<JsonRecord>('query-balloon'))
  if (!balloon) return []
  const actual = isCount(balloon['actual'])
    ? [{ series: 'actual_balloon_bytes', value: Number(balloon['actual']) }]
    : []
  const get = { path: BALLOON, property: 'guest-stats' }
  const answer = await unlessRefused(monitor.command<JsonRecord>('qom-get', get))
  if (!answer || !isRecord(answer['stats'])) return actual
  const { stats } = answer
  if (Number(answer['last-update']) === 0) {
    const set = { path: BALLOON, property: 'guest-stats-polling-interval', value: POLL_SECONDS }
    await unlessRefused(monitor.command('qom-set', set))
    return actual
  }
  const told = MEMORY.flatMap(([figure, series]) => {
    const value = stats[figure]
    return isCount(value) ? [{ series, value: Number(value) }] : []
  })
  return [...actual, ...told]
}

function isCount(value: unknown): boolean {
  return (typeof value === 'number' || typeof value === 'bigint') && value >= 0 && Number(value) < UNSET
}

/** Nothing where QEMU refuses the command: the guest has no such device. */
async function unlessRefused<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof QmpError) return undefined
    throw error
  }
}
