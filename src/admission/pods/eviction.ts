/** Evictions of the pods that guests run in. Contract: admission-others.md, section 15. */
import type { Vmi } from '../../kinds/kubevirt.ts'
import { isTrue } from '../../kinds/meta.ts'
import { PODS, VMIS } from '../../kinds/table.ts'
import { StatusError, tooManyRequests } from '../../lib/errors.ts'
import { isRecord, type JsonRecord } from '../../lib/json.ts'
import type { JsonPatchOperation } from '../../store/store.ts'
import type { AdmissionParts } from '../judge.ts'
import { DOMAIN_ANNOTATION, isLauncher, isPodOver, type Pod } from './pod.ts'

const DESCHEDULER = 'sigs.k8s.io/descheduler'
/** The reference writes the escaped name, and so do those who look for it. */
const SOURCE = 'kubevirt.io~1eviction-source'

/** What is asked for: a pod is to go. */
interface Eviction {
  namespace: string
  name: string
  request: JsonRecord
}

/**
 * Lets the eviction of a pod pass, or throws 429 and has its guest migrated instead. Contract: EVI-001 … 004.
 */
export async function reviewEviction(parts: AdmissionParts, request: JsonRecord): Promise<void> {
  const { namespace, name } = request
  if (typeof namespace !== 'string' || typeof name !== 'string') return
  const pod = await findPod(parts, namespace, name).catch(ignoreRefusal)
  if (!pod) return
  const isHotplug = pod.metadata.labels?.['kubevirt.io'] === 'hotplug-disk'
  if (isHotplug && pod.metadata.ownerReferences?.length === 1) await keepHotplugPod(parts, pod)
  else if (isLauncher(pod) && !isPodOver(pod)) await moveGuest(parts, pod, { namespace, name, request })
}

/** What cannot be looked up is no pod of ours. Contract: EVI-001. */
function ignoreRefusal(error: unknown): undefined {
  if (!(error instanceof StatusError)) throw error
}

async function findPod(
  { reader }: AdmissionParts,
  namespace: string,
  name: string,
): Promise<Pod | undefined> {
  // What is stored under the kind has its type.
  return (await reader.get(PODS, namespace, name)) as Pod | undefined
}

/** Reads what has to be known. Throws 429 where that is not possible. */
async function mustFind<T>(what: string, found: Promise<T>): Promise<T> {
  try {
    return await found
  } catch (error) {
    if (!(error instanceof StatusError)) throw error
    throw tooManyRequests(`the ${what} cannot be looked up now: ${error.message}`, 0)
  }
}

/** A pod that holds a volume stays as long as the guest does. Contract: EVI-010 … 016. */
async function keepHotplugPod(parts: AdmissionParts, pod: Pod): Promise<void> {
  const { namespace, name, ownerReferences } = pod.metadata
  const ownerName = ownerReferences?.[0]?.name ?? ''
  const owner = await mustFind('owner of the pod', findPod(parts, namespace, ownerName))
  if (!owner || !isLauncher(owner) || isPodOver(owner)) return
  const vmiName = owner.metadata.annotations?.[DOMAIN_ANNOTATION]
  if (vmiName === undefined) return
  const vmi = await mustFind('VMI of the pod', parts.reader.get(VMIS, namespace, vmiName))
  if (vmi) throw tooManyRequests(`the pod "${name}" holds a volume of the running VMI "${vmiName}"`, 0)
}

/** A guest is migrated where that is what its eviction strategy says. Contract: EVI-020 … 029. */
async function moveGuest(parts: AdmissionParts, pod: Pod, eviction: Eviction): Promise<void> {
  const vmiName = pod.metadata.annotations?.[DOMAIN_ANNOTATION]
  if (vmiName === undefined) return
  const vmi = await mustFind('VMI of the pod', parts.reader.get(VMIS, eviction.namespace, vmiName))
  const about = `"${eviction.namespace}/${vmiName}"`
  if (!vmi) throw tooManyRequests(`the VMI ${about} of the pod is not there`, 0)
  if (!isMoved(vmi, about, parts.config().evictionStrategy)) return
  if (vmi.status?.evacuationNodeName) {
    throw tooManyRequests(`Evacuation in progress: Eviction triggered evacuation of VMI ${about}`, 0)
  }
  if (vmi.status?.nodeName !== pod.spec?.nodeName) {
    throw tooManyRequests(`the pod is the target of a migration of the VMI ${about}`, 0)
  }
  const { object } = eviction.request
  if (!isRecord(object)) throw tooManyRequests('the eviction cannot be read', 0)
  await markEvacuation(parts, vmi, pod, { object, isDryRun: isDryRun(eviction.request, object) })
  throw tooManyRequests(`Eviction triggered evacuation of VMI ${about}`, 0)
}

/** Whether the guest is to be migrated. Throws 429 where it must be and cannot. Contract: EVI-022, 023, 024. */
function isMoved({ spec, status }: Vmi, about: string, clusterStrategy: string): boolean {
  const canMove = isTrue(status?.conditions, 'LiveMigratable')
  switch (spec.evictionStrategy ?? clusterStrategy) {
    case 'LiveMigrate':
      if (!canMove) throw tooManyRequests(`the VMI ${about} must be migrated and cannot be`, 0)
      return true
    case 'LiveMigrateIfPossible':
      return canMove
    case 'External':
      return true
    default:
      return false
  }
}

function isDryRun({ dryRun }: JsonRecord, { deleteOptions }: JsonRecord): boolean {
  const asked = isRecord(deleteOptions) ? deleteOptions.dryRun : undefined
  return dryRun === true || (Array.isArray(asked) && asked[0] === 'All')
}

/** Contract: EVI-028, and the patch below its table. */
async function markEvacuation(
  { writer }: AdmissionParts,
  { metadata }: Vmi,
  pod: Pod,
  { object, isDryRun }: { object: JsonRecord; isDryRun: boolean },
): Promise<void> {
  const operations: JsonPatchOperation[] = [
    { op: 'add', path: '/status/evacuationNodeName', value: pod.spec?.nodeName ?? '' },
  ]
  const annotations = isRecord(object.metadata) ? object.metadata.annotations : undefined
  if (isRecord(annotations) && annotations['requested-by'] === DESCHEDULER) {
    operations.push(
      metadata.annotations
        ? { op: 'replace', path: `/metadata/annotations/${SOURCE}`, value: 'descheduler' }
        : { op: 'add', path: '/metadata/annotations', value: { [SOURCE]: 'descheduler' } },
    )
  }
  if (!writer) throw tooManyRequests('this server may not change VMIs: it cannot start an evacuation', 0)
  const { namespace, name } = metadata
  const written = writer.patch(VMIS, namespace, name, { type: 'json', operations }, { dryRun: isDryRun })
  await mustFind('VMI of the pod', written)
}
