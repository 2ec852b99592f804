/** Presets: parts of guests that VMIs with certain labels get. Contract: admission-mutating.md, 3.3. */
import type { Vmi, VmiSpec } from '../../kinds/kubevirt.ts'
import { VMI_PRESETS } from '../../kinds/table.ts'
import { StatusError } from '../../lib/errors.ts'
import { isSameJson } from '../../lib/json.ts'
import { SelectorError, type LabelSelector } from '../../lib/selectors.ts'
import type { ObjectReader } from '../../store/store.ts'
import type { AdmissionRequest } from '../admission.ts'
import type { SpecOf } from '../references.ts'
import type { ReviewInput, ReviewPurpose } from '../review-input.ts'
import { selects } from '../selector.ts'

type Domain = VmiSpec['domain']
/** Parts that a preset may lack. */
type Part = Partial<Domain>
type Preset = SpecOf<{ selector?: LabelSelector; domain?: Part }>

/** What is read for a new VMI. */
export interface VmiFacts {
  presets: Preset[]
}

const EXCLUDE = 'virtualmachineinstancepresets.admission.kubevirt.io/exclude'
const APPLIED = 'virtualmachinepreset.kubevirt.io/'

/** The presets of the VMI's namespace, none where it wants none. Contract: MUT-PRE-001, 002. */
export async function gatherPresets(
  { namespace, object }: AdmissionRequest,
  reader: ObjectReader,
  purpose: ReviewPurpose,
): Promise<VmiFacts> {
  // They complete guests, and judge none.
  if (purpose === 'judge') return { presets: [] }
  if (object.metadata.annotations?.[EXCLUDE] === 'true') return { presets: [] }
  const { items } = await reader.list(VMI_PRESETS, { namespace })
  // What is stored under the kind has its type.
  return { presets: items as Preset[] }
}

/** Gives a VMI what presets have for it and it does not say itself. Throws 422. Contract: MUT-PRE-003 … 006; CRASH-015. */
export function applyPresets({ object, facts }: ReviewInput<Vmi, VmiFacts>): void {
  const chosen = facts.presets.filter((preset) => isChosen(preset, object))
  for (const [position, preset] of chosen.entries()) {
    for (const other of chosen.slice(position + 1)) refuseConflict(preset, other)
  }
  for (const { metadata, spec } of chosen) {
    if (!merge(object.spec.domain, spec.domain ?? {})) continue
    object.metadata.annotations = {
      ...object.metadata.annotations,
      [`${APPLIED}${metadata.name}`]: 'kubevirt.io/v1',
    }
  }
}

/** What an admitted VMI is told. Contract: MUT-VMI-023. */
export function warnOfPresets({ object }: ReviewInput<Vmi>): string[] {
  return Object.keys(object.metadata.annotations ?? {}).some((name) => name.includes('virtualmachinepreset'))
    ? ['VirtualMachineInstancePresets are deprecated: use instance types and preferences']
    : []
}

function isChosen({ metadata, spec }: Preset, { metadata: { labels = {} } }: Vmi): boolean {
  try {
    return selects(spec.selector, labels)
  } catch (error) {
    if (!(error instanceof SelectorError)) throw error
    throw refuse(`the preset "${metadata.name}" cannot be understood: ${error.message}`)
  }
}

function refuse(message: string): StatusError {
  return new StatusError(422, 'Invalid', message)
}

/** Contract: MUT-PRE-004. */
function refuseConflict(one: Preset, other: Preset): void {
  const [left, right] = [one.spec.domain ?? {}, other.spec.domain ?? {}]
  const [ours, theirs] = [left.resources?.requests ?? {}, right.resources?.requests ?? {}]
  const isDifferent =
    Object.entries(ours).some(([name, quantity]) => name in theirs && theirs[name] !== quantity) ||
    PARTS.some(({ get }) => differ(get(left), get(right)))
  if (!isDifferent) return
  throw refuse(
    `the presets "${one.metadata.name}" and "${other.metadata.name}" contradict each other: both choose this VMI`,
  )
}

function differ(left: unknown, right: unknown): boolean {
  return left !== undefined && right !== undefined && !isSameJson(left, right)
}

interface PresetPart {
  get: (domain: Part) => unknown
  set: (domain: Domain, from: Part) => void
}

/** What a preset may bring besides requests, in the order of the contract. */
const PARTS: readonly PresetPart[] = [
  { get: ({ cpu }) => cpu, set: (domain, { cpu }) => void (cpu && (domain.cpu = structuredClone(cpu))) },
  {
    get: ({ firmware }) => firmware,
    set: (domain, { firmware }) => void (firmware && (domain.firmware = structuredClone(firmware))),
  },
  { get: offsetOf, set: setOffset },
  { get: ({ clock }) => clock?.timer, set: setTimer },
  {
    get: ({ features }) => features,
    set: (domain, { features }) => void (features && (domain.features = structuredClone(features))),
  },
  {
    get: ({ devices }) => devices?.watchdog,
    set: (domain, { devices }) =>
      void (devices?.watchdog && (domain.devices.watchdog = structuredClone(devices.watchdog))),
  },
  {
    get: ({ ioThreadsPolicy }) => ioThreadsPolicy,
    set: (domain, { ioThreadsPolicy }) =>
      void (ioThreadsPolicy && (domain.ioThreadsPolicy = ioThreadsPolicy)),
  },
]

/** What a clock says but its timers. */
function offsetOf({ clock }: Part): unknown {
  if (!clock) return undefined
  const { timer: _timer, ...offset } = clock
  return offset
}

function setOffset(domain: Domain, { clock }: Part): void {
  if (!clock) return
  const { timer: _timer, ...offset } = structuredClone(clock)
  domain.clock = offset
}

function setTimer(domain: Domain, { clock }: Part): void {
  if (clock?.timer && domain.clock) domain.clock.timer = structuredClone(clock.timer)
}

/** Fills in what is missing; answers whether anything of the preset is in the VMI now. Contract: MUT-PRE-005, 006. */
function merge(domain: Domain, preset: Part): boolean {
  const requests = preset.resources?.requests
  if (requests && Object.keys(domain.resources?.requests ?? {}).length === 0) {
    domain.resources = { ...domain.resources, requests: { ...requests } }
  }
  let isApplied = requests !== undefined && isSameJson(domain.resources?.requests, requests)
  for (const { get, set } of PARTS) {
    const part = get(preset)
    if (part === undefined) continue
    if (get(domain) === undefined) set(domain, preset)
    isApplied ||= isSameJson(get(domain), part)
  }
  return isApplied
}
