import type { RunStrategy, StateChangeRequest, VmSpec } from '../../kinds/kubevirt.ts'

/** Whether a VM has a VMI, and how that stands. */
export type VmiState = 'none' | 'active' | 'succeeded' | 'failed'

/** What a run strategy decides on. */
export interface StrategyFacts {
  strategy: RunStrategy
  vmi: VmiState
  /** First of the pending requests. Those behind it do not count yet. */
  first: StateChangeRequest | undefined
  /** UID of the VMI, where there is one. */
  vmiUid: string | undefined
  /** `VM.status.runStrategy`: the strategy of the pass before. */
  recorded: RunStrategy | undefined
}

/** What is to be done about a VM. */
export type Step =
  | { do: 'nothing' }
  /** Create the VMI; `backOff`: not before the delay after a failed start is over. */
  | { do: 'create'; backOff: boolean }
  | { do: 'delete' }
  /** Leave a Start in the status, so that the VMI is made again, then delete it. */
  | { do: 'restart' }
  /** Change the spec to Always (`running: true`). */
  | { do: 'always' }
  | { do: 'refuse'; message: string }

const NOTHING: Step = { do: 'nothing' }
const DELETE: Step = { do: 'delete' }

/**
 * The strategy that counts, or `undefined` where the spec contradicts itself.
 * Source: contract 3.2.
 */
export function effectiveRunStrategy({
  running,
  runStrategy,
}: Pick<VmSpec, 'running' | 'runStrategy'>): RunStrategy | undefined {
  if (running !== undefined && running !== null && runStrategy) return undefined
  if (running === true) return 'Always'
  return runStrategy ?? 'Halted'
}

/** What a strategy does in a state. Source: contract 7.3, one function a row. */
export function decideStep(facts: StrategyFacts): Step {
  return ROWS[facts.strategy](facts)
}

const ROWS: Record<RunStrategy, (facts: StrategyFacts) => Step> = {
  Always: decideAlways,
  RerunOnFailure: decideRerunOnFailure,
  Manual: decideManual,
  Halted: decideHalted,
  Once: ({ vmi }) => (vmi === 'none' ? { do: 'create', backOff: false } : NOTHING),
  WaitAsReceiver: ({ vmi }) => (vmi === 'none' ? RECEIVER : NOTHING),
}

const RECEIVER: Step = {
  do: 'refuse',
  message:
    'runStrategy WaitAsReceiver needs live migration, which this version does not have: choose another run strategy',
}

function decideAlways({ vmi, ...facts }: StrategyFacts): Step {
  if (vmi === 'none') return { do: 'create', backOff: true }
  if (vmi !== 'active') return DELETE
  return isStopFor(facts) ? DELETE : NOTHING
}

function decideRerunOnFailure({ vmi, recorded, ...facts }: StrategyFacts): Step {
  if (vmi === 'none') {
    return isStart(facts) || recorded !== 'RerunOnFailure' ? { do: 'create', backOff: true } : NOTHING
  }
  if (vmi === 'active') return isStopFor(facts) ? DELETE : NOTHING
  // Somebody asked it to stop before it failed, or a Start is waiting already: none is to be added.
  if (vmi === 'succeeded' || isStopFor(facts) || isStart(facts)) return DELETE
  return { do: 'restart' }
}

function decideManual({ vmi, ...facts }: StrategyFacts): Step {
  if (vmi === 'none') return isStart(facts) ? { do: 'create', backOff: false } : NOTHING
  return isStopFor(facts) ? DELETE : NOTHING
}

function decideHalted({ vmi, ...facts }: StrategyFacts): Step {
  if (vmi !== 'none') return DELETE
  return isStart(facts) ? { do: 'always' } : NOTHING
}

function isStart({ first }: Pick<StrategyFacts, 'first'>): boolean {
  return first?.action === 'Start'
}

function isStopFor({ first, vmiUid }: Pick<StrategyFacts, 'first' | 'vmiUid'>): boolean {
  return first?.action === 'Stop' && first.uid !== undefined && first.uid === vmiUid
}

type StartFacts = Omit<StrategyFacts, 'recorded'>

/**
 * Whether a VM is set to start, as printable status `WaitingForVolumeBinding` asks.
 * Source: contract 7.2, "Set to start".
 */
export function isSetToStart(facts: StartFacts): boolean {
  return SET_TO_START[facts.strategy](facts)
}

const SET_TO_START: Record<RunStrategy, (facts: StartFacts) => boolean> = {
  Always: () => true,
  Manual: ({ vmi, ...facts }) => (vmi === 'none' ? isStart(facts) : !isStopFor(facts)),
  RerunOnFailure: ({ vmi }) => vmi !== 'succeeded',
  Once: ({ vmi }) => vmi === 'none',
  Halted: () => false,
  WaitAsReceiver: () => false,
}
