/** What is added to the pod of a guest that shares folders of it. Contract: admission-mutating.md, section 6. */
import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { PODS, VMIS } from '../../kinds/table.ts'
import { StatusError } from '../../lib/errors.ts'
import { isRecord, type JsonRecord } from '../../lib/json.ts'
import { quantityToNano } from '../../lib/quantity.ts'
import type { AdmissionConfig } from '../config.ts'
import type { AdmissionParts } from '../judge.ts'
import { devicesOf, type Volume } from '../spec/rule.ts'
import { isLauncher, type Pod, type VolumeMount } from './pod.ts'

/** A container, as an operation of a JSON patch. */
export interface AddContainer {
  op: 'add'
  path: '/spec/containers/-'
  value: JsonRecord
}

const SOCKETS = '/var/run/kubevirt/virtiofs-containers'
const USER = 107
const SHAREABLE = ['configMap', 'secret', 'projected', 'downwardAPI', 'emptyDir']

/** Containers that a launcher lacks; never refuses. Contract: MUT-POD-001 … 008. */
export async function completeLauncher(parts: AdmissionParts, request: JsonRecord): Promise<AddContainer[]> {
  const { resource, object } = request
  const isPods = isRecord(resource) && resource.resource === PODS.plural
  if (!isPods || !isRecord(object) || !isRecord(object.metadata)) return []
  // Its members are looked at one by one below, and none has to be there.
  const pod = object as unknown as Pod
  if (!isLauncher(pod) || !isReadable(pod)) return []
  const spec = await findGuest(parts, pod)
  if (!spec) return []
  return missingContainers(spec, pod, parts.config()).map((value) => ({
    op: 'add',
    path: '/spec/containers/-',
    value,
  }))
}

/** Whether the lists that are gone through are lists of objects. Contract: MUT-POD-001. */
function isReadable({ metadata, spec }: Pod): boolean {
  const areRecords = (list: unknown): boolean =>
    list === undefined || list === null || (Array.isArray(list) && list.every(isRecord))
  if (!isRecord(spec) || ![metadata.ownerReferences, spec.containers, spec.volumes].every(areRecords))
    return false
  return (spec.containers ?? []).every(
    ({ volumeMounts = [] }) =>
      areRecords(volumeMounts) && volumeMounts.every(({ mountPath = '' }) => typeof mountPath === 'string'),
  )
}

/** Contract: MUT-POD-002. */
async function findGuest({ reader }: AdmissionParts, { metadata }: Pod): Promise<VmiSpec | undefined> {
  const owner = metadata.ownerReferences?.find(
    ({ kind, apiVersion }) => kind === 'VirtualMachineInstance' && apiVersion === 'kubevirt.io/v1',
  )
  if (!owner || typeof metadata.namespace !== 'string') return undefined
  try {
    return (await reader.get(VMIS, metadata.namespace, owner.name))?.spec
  } catch (error) {
    if (!(error instanceof StatusError)) throw error
    return undefined
  }
}

/** Contract: MUT-POD-003, 004, 005. */
function missingContainers(spec: VmiSpec, pod: Pod, config: AdmissionConfig): JsonRecord[] {
  const { containers = [] } = pod.spec ?? {}
  const compute = containers.find(({ name }) => name === 'compute')
  if (!compute) return []
  const present = new Set(containers.map(({ name }) => name))
  const shared = new Set(
    (devicesOf(spec).filesystems ?? []).flatMap(({ name, virtiofs }) => (virtiofs ? [name] : [])),
  )
  return (spec.volumes ?? [])
    .filter(
      ({ name, containerPath }) => containerPath && shared.has(name) && !present.has(`virtiofs-${name}`),
    )
    .flatMap((volume) => {
      const source = volume.containerPath?.readOnly && findSource(volume, compute.volumeMounts ?? [], pod)
      return source ? [containerOf(volume.name, { image: compute.image, source, spec, config })] : []
    })
}

/** Where the files of a volume come from. */
interface Source {
  volume: Record<string, unknown> & { name?: string }
  subPath: string
}

/** Contract: MUT-POD-006, 007. */
function findSource({ containerPath }: Volume, mounts: readonly VolumeMount[], pod: Pod): Source | undefined {
  const path = containerPath?.path ?? ''
  const [mount] = mounts
    .filter(({ mountPath = '' }) => path === mountPath || path.startsWith(`${mountPath}/`))
    .toSorted((one, other) => (other.mountPath ?? '').length - (one.mountPath ?? '').length)
  const volume = pod.spec?.volumes?.find(({ name }) => name === mount?.name)
  if (!mount || !volume || !SHAREABLE.some((kind) => isRecord(volume[kind]))) return undefined
  return { volume, subPath: path.slice((mount.mountPath ?? '').length + 1) }
}

interface Making {
  image: string | undefined
  source: Source
  spec: VmiSpec
  config: AdmissionConfig
}

/** Contract: MUT-POD-008, and the table below it. */
function containerOf(volume: string, { image, source, spec, config }: Making): JsonRecord {
  const folder = `/virtiofs-data/${volume}`
  return {
    name: `virtiofs-${volume}`,
    image,
    imagePullPolicy: 'IfNotPresent',
    command: ['/usr/libexec/virtiofsd'],
    args: [
      `--socket-path=${SOCKETS}/${volume}.sock`,
      `--shared-dir=${folder}`,
      '--sandbox=none',
      '--cache=auto',
      '--migration-on-error=guest-error',
      '--migration-mode=find-paths',
      ...(holdsToken(source.volume) ? [`--translate-uid=host:${USER}:0:1`] : []),
    ],
    volumeMounts: [
      { name: 'virtiofs-containers', mountPath: SOCKETS },
      {
        name: source.volume.name,
        mountPath: folder,
        ...(source.subPath && { subPath: source.subPath }),
        readOnly: true,
      },
    ],
    securityContext: {
      runAsUser: USER,
      runAsGroup: USER,
      runAsNonRoot: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
    },
    resources: resourcesOf(spec, config),
  }
}

function holdsToken({ projected }: Source['volume']): boolean {
  const sources = isRecord(projected) ? projected.sources : undefined
  return Array.isArray(sources) && sources.some((source) => isRecord(source) && source.serviceAccountToken)
}

function resourcesOf(spec: VmiSpec, { virtiofs }: AdmissionConfig): JsonRecord {
  const { requests, limits } = virtiofs
  const isExact = spec.domain.cpu?.dedicatedCpuPlacement || isGuaranteed(spec)
  return { requests: isExact ? { ...requests, ...limits } : requests, limits }
}

function isGuaranteed({ domain }: VmiSpec): boolean {
  const { requests = {}, limits = {} } = domain.resources ?? {}
  const nano = (amount: string | undefined): bigint => (amount === undefined ? 0n : quantityToNano(amount))
  const isMemory =
    nano(requests.memory) === 0n ? nano(limits.memory) !== 0n : nano(requests.memory) === nano(limits.memory)
  return isMemory && nano(requests.cpu) !== 0n && nano(requests.cpu) === nano(limits.cpu)
}
