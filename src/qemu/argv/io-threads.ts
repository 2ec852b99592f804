import { invalidConfig, unsupportedDevice } from './error.ts'
import type { Build } from './build.ts'
import { readCpus } from './quantities.ts'
import { DEVICES, DOMAIN, type DiskSpec, oneOf } from './spec.ts'

/** What one thread of QEMU, or several, do for a disk: properties of its device. */
export interface IoThreads {
  /** For a virtio disk. */
  of(disk: DiskSpec): object
  /** For the SCSI controller. */
  controller(): object
}

const POLICY = DOMAIN.child('ioThreadsPolicy')
const DISKS = DEVICES.child('disks')
const POOL_LIMIT = 64

/**
 * Adds the I/O threads that the spec asks for and deals them out: a dedicated one to each disk that wants it, the
 * others in turn. Throws `GuestConfigError`.
 */
export function addIoThreads(build: Build): IoThreads {
  const { plan, line } = build
  const { disks = [] } = plan.spec.domain.devices
  const policy = oneOf(
    plan.spec.domain.ioThreadsPolicy,
    ['shared', 'auto', 'supplementalPool'],
    'shared',
    POLICY,
  )
  const dedicated = disks.filter(isDedicated)
  disks.forEach((disk, index) => {
    if (disk.dedicatedIOThread && disk.disk?.bus !== 'virtio') {
      throw unsupportedDevice(
        DISKS.index(index).child('dedicatedIOThread'),
        'only a virtio disk can have a thread of its own: use bus: virtio',
      )
    }
  })
  const shared = sharedCount(build, policy, dedicated.length)
  const ids = Array.from({ length: shared + dedicated.length }, (_, index) => `iot${index + 1}`)
  for (const id of ids) line.json('-object', { 'qom-type': 'iothread', id })
  const pool = ids.slice(0, shared)
  let turn = 0
  return {
    of(disk) {
      if (isDedicated(disk)) return { iothread: ids[shared + dedicated.indexOf(disk)] }
      if (policy === 'supplementalPool')
        return { 'iothread-vq-mapping': pool.map((iothread) => ({ iothread })) }
      return pool.length === 0 ? {} : { iothread: pool[turn++ % pool.length] }
    },
    controller: () => (pool.length === 0 ? {} : { iothread: pool[0] }),
  }
}

function isDedicated(disk: DiskSpec): boolean {
  return disk.dedicatedIOThread === true && disk.disk?.bus === 'virtio'
}

function sharedCount({ plan, vcpus }: Build, policy: string, dedicated: number): number {
  const { ioThreadsPolicy, ioThreads, resources, devices } = plan.spec.domain
  if (policy === 'supplementalPool')
    return poolSize(plan.qemuVersion.major, ioThreads?.supplementalPoolThreadCount)
  // A dedicated thread for one disk takes the others out of QEMU's main loop, too.
  if (!ioThreadsPolicy && dedicated === 0) return 0
  if (policy === 'shared') return 1
  const request = resources?.requests?.cpu
  const cpus = request === undefined ? vcpus : readCpus(request, DOMAIN.child('resources', 'requests', 'cpu'))
  const disks = (devices.disks ?? []).filter(({ disk }) => disk?.bus === 'virtio').length
  return Math.max(1, Math.min(disks, 2 * cpus) - dedicated)
}

function poolSize(major: number, count = 0): number {
  if (major < 9)
    throw unsupportedDevice(
      POLICY,
      `supplementalPool needs QEMU 9.0, and this node has ${major}: use shared or auto`,
    )
  if (Number.isInteger(count) && count >= 1 && count <= POOL_LIMIT) return count
  throw invalidConfig(
    DOMAIN.child('ioThreads', 'supplementalPoolThreadCount'),
    `say how many threads, from 1 to ${POOL_LIMIT}`,
  )
}
