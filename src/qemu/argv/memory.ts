import type { MachinePlan } from '../plan.ts'
import type { Build } from './build.ts'
import type { Pair } from './command-line.ts'
import { invalidConfig } from './error.ts'
import { readBytes } from './quantities.ts'
import { DOMAIN, oneOf } from './spec.ts'

const KIB = 1024
const MIB = 1024 ** 2
/**
 * Added to the memory of an emulated guest. Up to QEMU 8.2 such a guest loses writes to its memory while it is moved,
 * and dies of it or of what it then reads: QEMU looks for changes 64 pages at a time and forgets to watch those pages
 * again (mended in 9.0, "physmem: Fix migration dirty bitmap coherency with TCG memory access"). Memory that is no
 * multiple of 64 pages is looked at page by page, which is right. Always there, so that all versions agree on the size;
 * 8 KiB is the least that QEMU counts in.
 */
const ODD_BYTES = 8 * KIB
/** Slots for memory plugged in while the guest runs. */
const SLOTS = 16
const MEMORY = DOMAIN.child('memory')
const RESOURCES = DOMAIN.child('resources')

/**
 * Bytes of memory the guest starts with: what its spec says, or what it requests, or its limit; rounded up to whole
 * MiB or huge pages.
 *
 * Throws `InvalidConfiguration` where no field says.
 */
export function guestMemoryBytes({ spec }: MachinePlan): number {
  const { memory, resources } = spec.domain
  const places = [
    [memory?.guest, MEMORY.child('guest')],
    [resources?.requests?.memory, RESOURCES.child('requests', 'memory')],
    [resources?.limits?.memory, RESOURCES.child('limits', 'memory')],
    [memory?.hugepages?.pageSize, MEMORY.child('hugepages', 'pageSize')],
  ] as const
  const [text, at] = places.find(([quantity]) => quantity !== undefined) ?? []
  if (text === undefined || at === undefined) {
    throw invalidConfig(MEMORY.child('guest'), 'the guest has no memory: say how much, such as 512Mi')
  }
  const unit = pageBytes(spec.domain) ?? MIB
  const bytes = Math.ceil(readBytes(text, at) / unit) * unit
  if (bytes > 0) return bytes
  throw invalidConfig(at, `${text} is no memory: say how much, such as 512Mi`)
}

/** `-m` and where the memory comes from: always shareable with helper processes. */
export function addMemory({ plan, line, machine, memoryBytes }: Build): void {
  const { memory } = plan.spec.domain
  const maxBytes =
    memory?.maxGuest === undefined
      ? 0
      : Math.floor(readBytes(memory.maxGuest, MEMORY.child('maxGuest')) / MIB) * MIB
  const room: Pair[] =
    maxBytes > memoryBytes
      ? [
          ['slots', SLOTS],
          ['maxmem', `${maxBytes / MIB}M`],
        ]
      : []
  const page = pageBytes(plan.spec.domain)
  const size = memoryBytes + (plan.accelerator === 'tcg' && page === undefined ? ODD_BYTES : 0)
  line.keyed('-m', [['size', `${size / KIB}K`], ...room])
  line.json('-object', {
    'qom-type': 'memory-backend-memfd',
    id: 'ram0',
    size,
    share: true,
    ...(page !== undefined && { hugetlb: true, hugetlbsize: page, prealloc: true }),
  })
  machine.push(['memory-backend', 'ram0'])
  const { memLock } = memory?.reservedOverhead ?? {}
  const lock = oneOf(
    memLock,
    ['NotRequired', 'Required'],
    'NotRequired',
    MEMORY.child('reservedOverhead', 'memLock'),
  )
  if (lock === 'Required') line.keyed('-overcommit', [['mem-lock', true]])
}

/** Bytes of memory that the guest was given, from the size that `addMemory` wrote; `undefined` where it wrote none. */
export function readMemorySize(size: string | undefined): number | undefined {
  const kib = /^(\d+)K$/.exec(size ?? '')?.[1]
  return kib === undefined ? undefined : Math.floor((Number(kib) * KIB) / MIB) * MIB
}

/** Bytes of the huge pages that the guest's memory is made of, if it is. */
function pageBytes({ memory }: MachinePlan['spec']['domain']): number | undefined {
  const size = memory?.hugepages?.pageSize
  if (!size) return undefined
  const at = MEMORY.child('hugepages', 'pageSize')
  const bytes = readBytes(size, at)
  if (bytes >= MIB && Number.isInteger(Math.log2(bytes))) return bytes
  throw invalidConfig(at, `there are no pages of ${size}: use 2Mi or 1Gi`)
}
