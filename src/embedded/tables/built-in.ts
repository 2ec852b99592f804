/**
 * What `kubectl get` shows of Kubernetes' own kinds: columns that no JSONPath could fill.
 * Source: `pkg/printers/internalversion/printers.go` of Kubernetes.
 */
import type * as core from '../../kinds/core.ts'
import type { Column, Kind } from '../../kinds/kind.ts'
import { controllerOf, findCondition, isTrue, type KubeObject } from '../../kinds/meta.ts'
import * as table from '../../kinds/table.ts'
import { isRecord } from '../../lib/json.ts'
import { ageOf, type Cell, type TableColumn } from './column.ts'

const NONE = '<none>'

interface Options {
  type?: Column['type']
  /** Shown by `-o wide` only. */
  wide?: boolean
}

function column<T extends KubeObject>(
  name: string,
  cell: TableColumn<T>['cell'],
  { type = 'string', wide = false }: Options = {},
): TableColumn<T> {
  return { name, type, format: '', description: '', priority: wide ? 1 : 0, cell }
}

const WIDE = { wide: true }

/** When the object was made. */
export const AGE = column('Age', ({ metadata }: KubeObject, now) => ageOf(metadata.creationTimestamp, now))

function sizeOf(map: unknown): number {
  return isRecord(map) ? Object.keys(map).length : 0
}

const namespaces = [column('Status', ({ status }: core.Namespace) => status?.phase ?? null), AGE]

const secrets = [
  column('Type', ({ type }: core.Secret) => type ?? null),
  column('Data', ({ data }: core.Secret) => sizeOf(data)),
  AGE,
]

const configMaps = [
  column('Data', ({ data, binaryData }: core.ConfigMap) => sizeOf(data) + sizeOf(binaryData)),
  AGE,
]

function seen(time: string | null | undefined, now: number): Cell {
  return ageOf(time ?? undefined, now)
}
const firstSeen = ({ firstTimestamp, eventTime }: core.Event) => firstTimestamp ?? eventTime
const lastSeen = (event: core.Event) => event.lastTimestamp ?? firstSeen(event)

const events = [
  column('Last Seen', (event: core.Event, now) => seen(lastSeen(event), now)),
  column('Type', ({ type }: core.Event) => type ?? null),
  column('Reason', ({ reason }: core.Event) => reason ?? null),
  column('Object', ({ involvedObject: { kind = '', name = '' } }: core.Event) =>
    name ? `${kind.toLowerCase()}/${name}` : kind.toLowerCase(),
  ),
  column('Subobject', ({ involvedObject }: core.Event) => involvedObject.fieldPath ?? null, WIDE),
  column('Source', eventSource, WIDE),
  column('Message', ({ message }: core.Event) => message?.trim() ?? null),
  column('First Seen', (event: core.Event, now) => seen(firstSeen(event), now), WIDE),
  column('Count', ({ count }: core.Event) => count ?? 1, WIDE),
  column('Name', ({ metadata }: core.Event) => metadata.name, WIDE),
]

function eventSource({ source, reportingComponent, reportingInstance }: core.Event): Cell {
  const component = source?.component ?? reportingComponent ?? ''
  const host = source?.host ?? reportingInstance ?? ''
  return [component, host].filter((part) => part !== '').join(', ')
}

const ROLE_LABEL = 'node-role.kubernetes.io/'

function nodeStatus({ status, spec }: core.Node): Cell {
  const words: string[] = []
  if (!findCondition(status?.conditions, 'Ready')) words.push('Unknown')
  else words.push(isTrue(status?.conditions, 'Ready') ? 'Ready' : 'NotReady')
  if (spec?.unschedulable) words.push('SchedulingDisabled')
  return words.join(',')
}

function nodeRoles({ metadata }: core.Node): Cell {
  const labels = Object.entries(metadata.labels ?? {})
  const roles = labels.flatMap(([key, value]) => {
    if (key.startsWith(ROLE_LABEL)) return [key.slice(ROLE_LABEL.length)]
    return key === 'kubernetes.io/role' ? [value] : []
  })
  return [...new Set(roles.filter((role) => role !== ''))].sort().join(',') || NONE
}

function nodeAddress(type: string): (node: core.Node) => Cell {
  return ({ status }) => status?.addresses?.find((address) => address.type === type)?.address ?? NONE
}

function nodeInfo(field: string): (node: core.Node) => Cell {
  return ({ status }) => status?.nodeInfo?.[field] || '<unknown>'
}

const nodes = [
  column('Status', nodeStatus),
  column('Roles', nodeRoles),
  AGE,
  column('Version', ({ status }: core.Node) => status?.nodeInfo?.kubeletVersion ?? null),
  column('Internal-IP', nodeAddress('InternalIP'), WIDE),
  column('External-IP', nodeAddress('ExternalIP'), WIDE),
  column('OS-Image', nodeInfo('osImage'), WIDE),
  column('Kernel-Version', nodeInfo('kernelVersion'), WIDE),
  column('Container-Runtime', nodeInfo('containerRuntimeVersion'), WIDE),
]

const serviceAccounts = [column('Secrets', ({ secrets }: core.ServiceAccount) => secrets?.length ?? 0), AGE]

const ACCESS_MODES: Record<string, string> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
}

function accessModes({ status }: core.PersistentVolumeClaim): Cell {
  return (status?.accessModes ?? []).map((mode) => ACCESS_MODES[mode] ?? mode).join(',')
}

function claimText(field: string, missing: Cell): (claim: core.PersistentVolumeClaim) => Cell {
  return ({ spec }) => {
    const value = spec?.[field]
    return typeof value === 'string' && value !== '' ? value : missing
  }
}

const claims = [
  column('Status', ({ metadata, status }: core.PersistentVolumeClaim) =>
    metadata.deletionTimestamp ? 'Terminating' : (status?.phase ?? null),
  ),
  column('Volume', claimText('volumeName', '')),
  column('Capacity', ({ status }: core.PersistentVolumeClaim) => status?.capacity?.storage ?? ''),
  column('Access Modes', accessModes),
  column('StorageClass', claimText('storageClassName', '')),
  column('VolumeAttributesClass', claimText('volumeAttributesClassName', '<unset>')),
  AGE,
  column('VolumeMode', claimText('volumeMode', '<unset>'), WIDE),
]

const LIMITED = /^limits\./

/** `used/hard` of the quota's entries whose names are limits, or are not. */
function quotaEntries(wantsLimits: boolean): (quota: KubeObject) => Cell {
  return (quota) => {
    const status = 'status' in quota && isRecord(quota.status) ? quota.status : {}
    const hard = isRecord(status['hard']) ? status['hard'] : {}
    const used = isRecord(status['used']) ? status['used'] : {}
    return Object.keys(hard)
      .filter((name) => LIMITED.test(name) === wantsLimits)
      .sort()
      .map((name) => `${name}: ${amount(used[name])}/${amount(hard[name])}`)
      .join(', ')
  }
}

function amount(quantity: unknown): string {
  return typeof quantity === 'string' || typeof quantity === 'number' ? String(quantity) : '0'
}

const quotas = [column('Request', quotaEntries(false)), column('Limit', quotaEntries(true)), AGE]

const limitRanges = [createdAt()]

const leases = [column('Holder', ({ spec }: core.Lease) => spec?.holderIdentity ?? ''), AGE]

function createdAt(): TableColumn {
  return column('Created At', ({ metadata }: KubeObject) => metadata.creationTimestamp, { type: 'date' })
}

const roles = [createdAt()]

type Binding = core.RoleBinding | core.ClusterRoleBinding

function subjectsOf(kind: core.Subject['kind']): (binding: Binding) => Cell {
  return ({ subjects }) =>
    (subjects ?? [])
      .filter((subject) => subject.kind === kind)
      .map(({ name, namespace }) => (kind === 'ServiceAccount' ? `${namespace ?? ''}/${name}` : name))
      .join(', ')
}

const bindings = [
  column('Role', ({ roleRef: { kind, name } }: Binding) => `${kind}/${name}`),
  AGE,
  column('Users', subjectsOf('User'), WIDE),
  column('Groups', subjectsOf('Group'), WIDE),
  column('ServiceAccounts', subjectsOf('ServiceAccount'), WIDE),
]

function controllerName(revision: core.ControllerRevision): Cell {
  const owner = controllerOf(revision)
  if (!owner) return NONE
  const group = owner.apiVersion.includes('/') ? `.${owner.apiVersion.split('/', 1)[0]}` : ''
  return `${owner.kind.toLowerCase()}${group}/${owner.name}`
}

const revisions = [
  column('Controller', controllerName),
  column('Revision', ({ revision }: core.ControllerRevision) => revision, { type: 'integer' }),
  AGE,
]

/** Joins a kind with columns of its objects, and forgets their type. */
function row<T extends KubeObject>(kind: Kind<T>, columns: TableColumn<T>[]): [Kind, TableColumn[]] {
  // Callers hand each kind's columns the objects of that kind.
  return [kind, columns as unknown as TableColumn[]]
}

/** The columns after NAME of the kinds that have more to show than members. */
export const BUILT_IN_COLUMNS: ReadonlyMap<Kind, TableColumn[]> = new Map([
  row(table.NAMESPACES, namespaces),
  row(table.SECRETS, secrets),
  row(table.CONFIGMAPS, configMaps),
  row(table.EVENTS, events),
  row(table.NODES, nodes),
  row(table.SERVICE_ACCOUNTS, serviceAccounts),
  row(table.PVCS, claims),
  row(table.RESOURCE_QUOTAS, quotas),
  row(table.LIMIT_RANGES, limitRanges),
  row(table.LEASES, leases),
  row(table.ROLES, roles),
  row(table.CLUSTER_ROLES, roles),
  row(table.ROLE_BINDINGS, bindings),
  row(table.CLUSTER_ROLE_BINDINGS, bindings),
  row(table.CONTROLLER_REVISIONS, revisions),
])
