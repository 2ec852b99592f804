import { badRequest, conflict, notFound } from '../lib/errors.ts'
import { isWritable, readClaim } from '../kinds/claims.ts'
import { refusedSubject } from '../kinds/kind.ts'
import type { Vm, Vmi } from '../kinds/kubevirt.ts'
import { CDI_CONFIGS, PVCS, VMS } from '../kinds/table.ts'
import { isQuantity, quantityToBytes } from '../lib/quantity.ts'
import type { JsonPatchOperation } from '../store/store.ts'
import { decodeOptions, type OptionFields } from './body.ts'
import { isDryRun } from './dry-run.ts'
import { patchLocked, setInStatus } from './locked-patch.ts'
import { getVm, getVmi, VM, VMI } from './lookup.ts'
import type { Action, Call } from './subresource.ts'
import { hotplugModeOf } from './volume-options.ts'

/** All that is taken from a client: the rest of the request is the controller's to write (contract: F8). */
export const DUMP_FIELDS = { claimName: 'string' } as const satisfies OptionFields

const CLAIM = refusedSubject(PVCS)
const MIB = 1024n ** 2n
/** What a dump holds besides the guest's memory. Source: contract 3.10. */
const DUMP_EXTRA_BYTES = 100n * MIB
/** Share of a file system that is not for files, in millionths, where CDI does not say. */
const DEFAULT_OVERHEAD = 55_000n
const MILLION = 1_000_000n

/** Writes the memory of a VM's running guest to a claim. Source: contract 3.10. */
export const memoryDump: Action = {
  type: 'action',
  resource: VMS,
  name: 'memorydump',
  method: 'PUT',
  verb: 'update',
  kind: 'VirtualMachineMemoryDumpRequest',
  description: 'Dump the memory of a running VirtualMachine to a PersistentVolumeClaim.',
  success: 202,
  fields: DUMP_FIELDS,
  run: requestDump,
}

async function requestDump(call: Call): Promise<void> {
  hotplugModeOf(await call.configuration())
  const { claimName } = decodeOptions(call.body, DUMP_FIELDS)
  const dryRun = isDryRun(call, memoryDump.kind)
  await patchLocked(call, {
    kind: VMS,
    read: () => getVm(call),
    decide: (vm) => planDump(call, vm, claimName),
    options: { dryRun, subresource: 'status' },
  })
}

/** In the contract's order. */
async function planDump(call: Call, vm: Vm, wanted: string | undefined): Promise<JsonPatchOperation[]> {
  const claimName = chooseClaim(vm, wanted)
  const vmi = await getVmi(call)
  if (vmi.status?.phase !== 'Running') throw conflict(VMI, call.name, 'VMI is not running')
  await checkClaim(call, vmi, claimName)
  refuseWhileBusy(vm)
  return [setInStatus(vm.status, 'memoryDumpRequest', { claimName, phase: 'Associating' })]
}

function chooseClaim({ metadata, status }: Vm, wanted: string | undefined): string {
  const before = status?.memoryDumpRequest?.claimName
  if (!wanted && !before)
    throw badRequest('claimName is required: name the claim that the dump is written to')
  if (wanted && before && wanted !== before) {
    throw conflict(
      VM,
      metadata.name,
      `unable to memory dump to claim "${wanted}": "${before}" is associated with the VM; remove that first`,
    )
  }
  return wanted || (before ?? '')
}

async function checkClaim(call: Call, vmi: Vmi, claimName: string): Promise<void> {
  const claim = await call.store.get(PVCS, call.namespace, claimName)
  if (!claim) throw notFound(CLAIM, claimName)
  const facts = readClaim(claim)
  if (facts.volumeMode === 'Block') {
    throw conflict(CLAIM, claimName, 'pvc must be filesystem pvc: a dump is a file')
  }
  // One that can also be mounted read-only is as good as any (contract: F9).
  if (!isWritable(facts))
    throw conflict(CLAIM, claimName, 'pvc cannot be written to: its access mode is read-only')
  const neededBytes = await neededFor(call, vmi, facts.storageClass)
  if (ceilToKilo(facts.requestedBytes) < neededBytes) {
    throw conflict(
      CLAIM,
      claimName,
      `pvc size should be bigger than vm memory: a dump needs ${neededBytes / MIB}Mi`,
    )
  }
}

/** Kubernetes reckons such sizes in thousands of bytes, rounded up. */
function ceilToKilo(bytes: bigint): bigint {
  return ((bytes + 999n) / 1000n) * 1000n
}

/** Bytes a claim of that class has to have for a dump of the guest, in whole MiB. */
async function neededFor(call: Call, { spec }: Vmi, storageClass: string | undefined): Promise<bigint> {
  const { resources, memory } = spec.domain
  const asked = resources?.requests?.['memory'] ?? memory?.guest
  const memoryBytes = isQuantity(asked) ? quantityToBytes(asked) : 0n
  const overhead = await overheadOf(call, storageClass)
  const bytes = ((memoryBytes + DUMP_EXTRA_BYTES) * (MILLION + overhead) + MILLION - 1n) / MILLION
  return ((bytes + MIB - 1n) / MIB) * MIB
}

/** Millionths of a file system that CDI keeps free of images; by class, else for all. */
async function overheadOf({ store }: Call, storageClass: string | undefined): Promise<bigint> {
  const config = await store.get(CDI_CONFIGS, '', 'config')
  const { global, storageClass: byClass = {} } = config?.status?.filesystemOverhead ?? {}
  const text = (storageClass !== undefined ? byClass[storageClass] : undefined) ?? global
  const share = Number(text)
  return text !== undefined && share >= 0 && share < 1 ? BigInt(Math.ceil(share * 1e6)) : DEFAULT_OVERHEAD
}

/** One dump at a time. */
function refuseWhileBusy({ metadata, status }: Vm): void {
  const phase = status?.memoryDumpRequest?.phase
  if (phase === undefined || phase === 'Completed' || phase === 'Failed') return
  const why = phase === 'Dissociating' ? 'is being removed' : 'is in progress'
  throw conflict(VM, metadata.name, `memory dump request for the VM ${why}: try again when that is done`)
}
