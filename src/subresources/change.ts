import { conflict, StatusError } from '../lib/errors.ts'
import type { StateChangeRequest, Vm, Vmi } from '../kinds/kubevirt.ts'
import { VMIS, VMS } from '../kinds/table.ts'
import type { JsonPatchOperation } from '../store/store.ts'
import { findVmi, getVm, isOwnedBy, VM } from './lookup.ts'
import type { Call } from './subresource.ts'

/** What is to happen to a VM. */
export interface Change {
  /** Set as run strategy, in the field the VM uses; or requested of the controller. */
  what: { strategy: 'Always' | 'Halted' } | { requests: StateChangeRequest[] }
  /** First set as grace period of the VMI. */
  graceSeconds?: number
  /** Have the store check it and change nothing. */
  dryRun: boolean
}

/** What a decision is made from. */
export interface Situation {
  vm: Vm
  /** The VM's own VMI. */
  vmi: Vmi | undefined
  /** A VMI of the same name that is not the VM's. */
  stranger: Vmi | undefined
}

/** How often somebody else may be faster before the client is told. */
const ATTEMPTS = 5

/**
 * Reads a VM and its VMI, has `decide` say what to do, and does it: again from the start when the VM changed in
 * between (contract: PA-1, PA-2). Refusals of `decide` and of the store pass through.
 */
export async function changeVm(call: Call, decide: (situation: Situation) => Change): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const situation = await readSituation(call)
    const change = decide(situation)
    try {
      await carryOut(call, situation, change)
      return
    } catch (error) {
      if (attempt === ATTEMPTS || !(await isLostRace(call, situation, error))) throw error
    }
  }
}

async function readSituation(call: Call): Promise<Situation> {
  const vm = await getVm(call)
  const found = await findVmi(call)
  const isOwn = found !== undefined && isOwnedBy(found, vm)
  return { vm, vmi: isOwn ? found : undefined, stranger: isOwn ? undefined : found }
}

/** Whether the write failed because what was read is no longer so. A failed `test` is 422 in Kubernetes. */
async function isLostRace(call: Call, { vm, vmi }: Situation, error: unknown): Promise<boolean> {
  if (!(error instanceof StatusError)) return false
  if (error.code === 409) return true
  if (error.code !== 422) return false
  const now = await readSituation(call)
  return [
    [vm, now.vm],
    [vmi, now.vmi],
  ].some(([before, after]) => before?.metadata.resourceVersion !== after?.metadata.resourceVersion)
}

async function carryOut(call: Call, { vm, vmi }: Situation, change: Change): Promise<void> {
  const restore = await setGrace(call, vmi, change)
  try {
    await patchVm(call, vm, change)
  } catch (error) {
    await restore()
    throw error
  }
}

async function patchVm({ store, namespace, name }: Call, vm: Vm, { what, dryRun }: Change): Promise<void> {
  const test = testVersion(vm)
  if ('strategy' in what) {
    const operations = [test, strategyOperation(vm, what.strategy)]
    await store.patch(VMS, namespace, name, { type: 'json', operations }, { dryRun })
    return
  }
  const operations = [test, ...requestOperations(vm, what.requests)]
  await store.patch(VMS, namespace, name, { type: 'json', operations }, { dryRun, subresource: 'status' })
}

function testVersion({ metadata }: Vm | Vmi): JsonPatchOperation {
  return { op: 'test', path: '/metadata/resourceVersion', value: metadata.resourceVersion }
}

/** A VM keeps the field it uses: clients compare specs (contract: K15). */
function strategyOperation({ spec }: Vm, strategy: 'Always' | 'Halted'): JsonPatchOperation {
  return spec.runStrategy
    ? { op: 'replace', path: '/spec/runStrategy', value: strategy }
    : { op: 'add', path: '/spec/running', value: strategy === 'Always' }
}

/**
 * A single Stop replaces what is pending; a Start waits its turn, and the client is told so.
 * Source: contract 3.1.8, row "SCR"; PA-3; K14.
 */
function requestOperations(vm: Vm, requests: StateChangeRequest[]): JsonPatchOperation[] {
  if (!vm.status) return [{ op: 'add', path: '/status', value: { stateChangeRequests: requests } }]
  const pending = vm.status.stateChangeRequests ?? []
  if (pending.length > 0 && requests.some(({ action }) => action === 'Start')) {
    throw conflict(VM, vm.metadata.name, 'another state change is pending; try again when it is done')
  }
  const operations: JsonPatchOperation[] = [
    { op: 'add', path: '/status/stateChangeRequests', value: requests },
  ]
  if (vm.status.startFailure) operations.push({ op: 'remove', path: '/status/startFailure' })
  return operations
}

const GRACE = '/spec/terminationGracePeriodSeconds'

/** Sets the VMI's grace period and answers how to take that back. */
async function setGrace(
  { store, namespace, name }: Call,
  vmi: Vmi | undefined,
  { graceSeconds, dryRun }: Change,
): Promise<() => Promise<void>> {
  const old = vmi?.spec.terminationGracePeriodSeconds
  if (!vmi || graceSeconds === undefined || graceSeconds === old) return async () => {}
  const set: JsonPatchOperation = { op: 'add', path: GRACE, value: graceSeconds }
  await store.patch(VMIS, namespace, name, { type: 'json', operations: [testVersion(vmi), set] }, { dryRun })
  if (dryRun) return async () => {}
  return async () => {
    const back: JsonPatchOperation =
      old === undefined ? { op: 'remove', path: GRACE } : { op: 'add', path: GRACE, value: old }
    const mine: JsonPatchOperation = { op: 'test', path: GRACE, value: graceSeconds }
    try {
      await store.patch(VMIS, namespace, name, { type: 'json', operations: [mine, back] })
    } catch (error) {
      // Gone or changed by somebody else: then there is nothing of ours to take back.
      if (!(error instanceof StatusError)) throw error
    }
  }
}
