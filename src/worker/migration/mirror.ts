import { QmpError } from '../../qemu/qmp/client.ts'
import type { Machine } from '../guest/machine.ts'
import { MigrationFailed } from './failure.ts'
import { CHANNELS, portOf } from './options.ts'
import type { MirroredDisk, OutgoingState } from './state.ts'
import { CREDS_ID } from './tls.ts'

/** What mirrors need of a machine. */
type Monitor = Pick<Machine, 'command'>

/** A job of QEMU. Source: `query-jobs`. */
interface Job {
  id: string
  status: string
  'current-progress': number
  'total-progress': number
  error?: string
}

/** How far all copies are. */
export interface Copied {
  /** All are the same as their source, and stay so. */
  ready: boolean
  totalBytes: number
  doneBytes: number
}

/** Job and node are called after the disk's node. Names of nodes have 31 bytes, and the disks' ones 13. */
function nameOf({ node }: MirroredDisk): string {
  return `mig-${node}`
}

/**
 * Begins to copy the disks that are not being copied yet, and tells how far they all are. Every write of the guest
 * goes to both sides, so that the copies come to an end however much it writes.
 *
 * Throws `MigrationFailed` where a copy has failed, and as `Machine.command`.
 */
export async function copyDisks(machine: Monitor, move: OutgoingState): Promise<Copied> {
  const before = await jobsOf(machine, move)
  for (const disk of move.disks) {
    if (!before.has(nameOf(disk))) await startMirror(machine, move, disk)
  }
  const jobs = [...(await jobsOf(machine, move)).values()]
  throwIfBroken(jobs)
  return {
    ready: jobs.length === move.disks.length && jobs.every(({ status }) => status === 'ready'),
    totalBytes: sum(jobs.map((job) => job['total-progress'])),
    doneBytes: sum(jobs.map((job) => job['current-progress'])),
  }
}

/** Throws `MigrationFailed` where a copy has failed, and as `Machine.command`. */
export async function checkMirrors(machine: Monitor, move: OutgoingState): Promise<void> {
  throwIfBroken([...(await jobsOf(machine, move)).values()])
}

/**
 * Ends copies that are ready while the guest stands still. Answers whether all have ended: they write the rest first.
 * Throws as `copyDisks`.
 */
export async function finishMirrors(machine: Monitor, move: OutgoingState): Promise<boolean> {
  const jobs = await jobsOf(machine, move)
  throwIfBroken([...jobs.values()])
  for (const { id, status } of jobs.values()) {
    if (status === 'ready') await tolerate(machine.command('block-job-cancel', { device: id, force: false }))
  }
  return dismissEnded(machine, move)
}

/** Gives the copies up, however far they are. Answers whether nothing is left of them. Throws as `Machine.command`. */
export async function dropMirrors(machine: Monitor, move: OutgoingState): Promise<boolean> {
  const jobs = await jobsOf(machine, move)
  for (const { id, status } of jobs.values()) {
    if (!ENDING.has(status)) await tolerate(machine.command('block-job-cancel', { device: id, force: true }))
  }
  return dismissEnded(machine, move)
}

/** Cuts connections that a dead target keeps waiting. Throws as `Machine.command`. */
export async function cutConnections(machine: Monitor, { disks }: OutgoingState): Promise<void> {
  const known = await machine.command<{ type: string; 'node-name'?: string }[]>('query-yank')
  const ours = new Set(disks.map(nameOf))
  const instances = known.filter(
    (one) => one.type === 'migration' || (one['node-name'] !== undefined && ours.has(one['node-name'])),
  )
  if (instances.length > 0) await machine.command('yank', { instances })
}

/** States from which a job ends by itself. Source: QEMU's `JobStatus`. */
const ENDING: ReadonlySet<string> = new Set(['waiting', 'pending', 'aborting', 'concluded', 'null'])

async function jobsOf(machine: Monitor, { disks }: OutgoingState): Promise<Map<string, Job>> {
  const ours = new Set(disks.map(nameOf))
  if (ours.size === 0) return new Map()
  const jobs = await machine.command<Job[]>('query-jobs')
  return new Map(jobs.filter(({ id }) => ours.has(id)).map((job) => [job.id, job]))
}

function throwIfBroken(jobs: readonly Job[]): void {
  const broken = jobs.find(({ error }) => error !== undefined)
  if (broken) throw new MigrationFailed('storage', `the copy of a disk broke off: ${broken.error}`)
}

async function startMirror(machine: Monitor, move: OutgoingState, disk: MirroredDisk): Promise<void> {
  const { target, options, disks, peerName } = move
  const name = nameOf(disk)
  // An earlier try may have got as far as the node.
  if (!(await hasNode(machine, name))) {
    await machine.command('blockdev-add', {
      driver: 'nbd',
      'node-name': name,
      server: { type: 'inet', host: target.address, port: String(portOf(target.ports, CHANNELS.disks)) },
      export: disk.node,
      discard: 'unmap',
      ...(peerName !== undefined && { 'tls-creds': CREDS_ID, 'tls-hostname': peerName }),
    })
  }
  await machine.command('blockdev-mirror', {
    'job-id': name,
    device: disk.node,
    target: name,
    sync: 'top',
    'copy-mode': 'write-blocking',
    'auto-dismiss': false,
    ...(options.bandwidthBytes > 0 && { speed: Math.ceil(options.bandwidthBytes / disks.length) }),
  })
}

/** Removes jobs that have ended and the nodes they wrote to. */
async function dismissEnded(machine: Monitor, move: OutgoingState): Promise<boolean> {
  const jobs = await jobsOf(machine, move)
  for (const { id, status } of jobs.values()) {
    if (status === 'concluded') await machine.command('job-dismiss', { id })
    else if (status !== 'null') return false
  }
  for (const disk of move.disks) {
    const name = nameOf(disk)
    if (await hasNode(machine, name)) await machine.command('blockdev-del', { 'node-name': name })
  }
  return true
}

async function hasNode(machine: Monitor, name: string): Promise<boolean> {
  const nodes = await machine.command<{ 'node-name'?: string }[]>('query-named-block-nodes', { flat: true })
  return nodes.some((node) => node['node-name'] === name)
}

/** What it was to end has just ended: the next look tells how. */
async function tolerate(command: Promise<unknown>): Promise<void> {
  await command.catch((error: unknown) => {
    if (!(error instanceof QmpError)) throw error
  })
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0)
}
