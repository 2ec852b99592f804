import { expect, test } from 'vitest'
import { defaultConfig } from '../../src/admission/config.ts'
import type { AdmissionParts } from '../../src/admission/judge.ts'
import { configOf } from '../../src/admission/kubevirt-config.ts'
import { answerReview, findWebhook } from '../../src/admission/webhooks/review.ts'
import { mayUseAll } from '../../src/kinds/foreign-use.ts'
import type { KubeVirt } from '../../src/kinds/kubevirt.ts'
import { copyJson, isRecord, type JsonRecord } from '../../src/lib/json.ts'

/**
 * What is different from an object: a path such as `spec.volumes[0].name` → a value, `undefined` for nothing. A dot in a
 * name is written `~`. Keys that begin with `@` are about the review: see `Settings`.
 */
export type Edits = Record<string, unknown>

/** What a review is asked under. */
export interface Settings {
  /** Feature gates, on and off. */
  '@on'?: string[]
  '@off'?: string[]
  /** `spec.configuration` of the KubeVirt object, besides gates. */
  '@configuration'?: JsonRecord
  /** Annotations of the KubeVirt object. */
  '@annotations'?: Record<string, string>
  '@user'?: { username: string; groups?: string[]; extra?: Record<string, string[]> }
  '@operation'?: string
  /** What the object was: edits of the base. `null`: it is not in the review. */
  '@old'?: Edits | null
  /** Objects in the cluster. */
  '@objects'?: JsonRecord[]
  /** Another part of the request, such as `resource`. */
  '@request'?: JsonRecord
}

/** What a webhook reviews, where nothing is said: sound, and new. */
export interface Subject {
  path: string
  group: string
  version: string
  resource: string
  object: JsonRecord
}

/** The part of an answer that counts. */
export interface Response {
  allowed: boolean
  status?: {
    code?: number
    reason?: string
    message?: string
    details?: { causes?: { reason?: string; field?: string; message?: string }[] }
  }
  patch?: string
  patchType?: string
  warnings?: string[]
}

/** A copy of an object with what is different. */
export function edited(object: unknown, edits: Edits): JsonRecord {
  const root = { object: copyJson(object) }
  for (const [path, value] of Object.entries(edits)) {
    if (path.startsWith('@')) continue
    const steps = ['object', ...[...path.matchAll(/[^.[\]]+/g)].map(([step]) => step.replaceAll('~', '.'))]
    const last = steps.pop() ?? ''
    const parent = steps.reduce<JsonRecord>((at, step, position) => {
      const isList = /^\d+$/.test(steps[position + 1] ?? last)
      at[step] ??= isList ? [] : {}
      // What has members is an object or a list.
      return at[step] as JsonRecord
    }, root)
    if (value === undefined) delete parent[last]
    else parent[last] = copyJson(value)
  }
  return root.object as JsonRecord
}

/** 2026-01-01T00:00:00Z. */
export const NOW_MS = 1_767_225_600_000

/** Admission under the settings, with UIDs that count up from `uid-1`. */
export function partsFor(settings: Settings): AdmissionParts {
  const objects = settings['@objects'] ?? []
  const named = (kind: string, namespace: string, name?: string) =>
    objects.filter(
      (object) =>
        object.kind === kind &&
        isRecord(object.metadata) &&
        (object.metadata.namespace ?? '') === namespace &&
        (name === undefined || object.metadata.name === name),
    )
  let count = 0
  return {
    config: () => configFor(settings),
    clock: { now: () => NOW_MS },
    newUid: () => `uid-${++count}`,
    foreignUses: () => mayUseAll,
    reader: {
      // What has the name of the kind is of its type.
      get: async (kind, namespace, name) => {
        const [found] = named(kind.kind, namespace, name)
        return found && (copyJson(found) as never)
      },
      list: async (kind, { namespace = '' } = {}) => ({
        items: copyJson(named(kind.kind, namespace)) as never[],
        resourceVersion: '1',
      }),
    },
  }
}

function configFor(settings: Settings) {
  const { '@on': on = [], '@off': off = [], '@configuration': configuration = {} } = settings
  const isPlain =
    on.length === 0 && off.length === 0 && !settings['@configuration'] && !settings['@annotations']
  if (isPlain) return defaultConfig('amd64')
  const kubeVirt: KubeVirt = {
    apiVersion: 'kubevirt.io/v1',
    kind: 'KubeVirt',
    metadata: {
      name: 'kubevirt',
      namespace: 'kubevirt',
      uid: 'k',
      resourceVersion: '1',
      creationTimestamp: '',
      annotations: settings['@annotations'] ?? {},
    },
    spec: {
      configuration: {
        ...configuration,
        developerConfiguration: { featureGates: on, disabledFeatureGates: off },
      },
    },
    status: { phase: 'Deployed', defaultArchitecture: 'amd64' },
  }
  return configOf(kubeVirt, { namespace: 'kubevirt', architecture: 'amd64' })
}

/** The answer of a webhook to what is different from its subject. */
export async function respond(subject: Subject, edits: Edits, parts?: AdmissionParts): Promise<Response> {
  const settings: Settings = edits
  const webhook = findWebhook(subject.path)
  if (!webhook) throw new Error(`nothing is reviewed at ${subject.path}`)
  const old = settings['@old']
  const request = {
    uid: 'u-1',
    resource: { group: subject.group, version: subject.version, resource: subject.resource },
    name: 'a',
    namespace: 'default',
    operation: settings['@operation'] ?? (old === undefined ? 'CREATE' : 'UPDATE'),
    userInfo: settings['@user'] ?? { username: 'somebody', groups: ['system:authenticated'] },
    object: edited(subject.object, edits),
    oldObject: old ? edited(subject.object, old) : null,
    ...settings['@request'],
  }
  const body = Buffer.from(
    JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request }),
  )
  const answer = await answerReview(parts ?? partsFor(settings), webhook, body)
  if (answer.failure) throw answer.failure
  expect(answer.code).toBe(200)
  // What is answered has that shape.
  return (answer.body as unknown as { response: Response }).response
}

/** Why a review is refused: `400`, or `Invalid spec.hostname` for each cause; `[]` where it is not. */
export async function complaintsOf(subject: Subject, edits: Edits): Promise<string[]> {
  const { allowed, status } = await respond(subject, edits)
  if (allowed) return []
  const causes = status?.details?.causes
  if (!causes) return [String(status?.code)]
  for (const { message } of causes) expect(message).toMatch(/^(?!.*(undefined|\[object)).+/)
  return causes.map(({ reason = '', field = '' }) => `${reason.replace('FieldValue', '')} ${field}`.trim())
}

/** A rule's id, what it refuses, the complaint, and what it admits (the subject as it is, where nothing is said). */
export type RuleCase = readonly [id: string, refused: Edits, complaint: string, admitted?: Edits]

/** Each rule has a case that it refuses, with its own complaint, and a case that is admitted without any. */
export function testRules(subject: Subject, cases: readonly RuleCase[]): void {
  const named = cases.map(([id, refused, complaint, admitted = {}]) => ({ id, refused, complaint, admitted }))
  test.each(named)('$id', async ({ refused, complaint, admitted }) => {
    expect(await complaintsOf(subject, refused)).toContain(complaint)
    expect(await complaintsOf(subject, admitted)).toEqual([])
  })
}

const meta = { name: 'a', namespace: 'default' }

/** A guest that nothing is wrong with. */
export const GUEST = {
  architecture: 'amd64',
  domain: {
    memory: { guest: '1Gi' },
    devices: {
      disks: [{ name: 'd', disk: { bus: 'virtio' } }],
      interfaces: [{ name: 'n', masquerade: {} }],
    },
  },
  networks: [{ name: 'n', pod: {} }],
  volumes: [{ name: 'd', containerDisk: { image: 'disk' } }],
}

const CORE = { group: 'kubevirt.io', version: 'v1' }

/** A new VMI. */
export const NEW_VMI: Subject = {
  ...CORE,
  path: '/virtualmachineinstances-validate-create',
  resource: 'virtualmachineinstances',
  object: { apiVersion: 'kubevirt.io/v1', kind: 'VirtualMachineInstance', metadata: meta, spec: GUEST },
}

/** A new VM. */
export const NEW_VM: Subject = {
  ...CORE,
  path: '/virtualmachines-validate',
  resource: 'virtualmachines',
  object: {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: meta,
    spec: { runStrategy: 'Halted', template: { metadata: {}, spec: GUEST } },
  },
}

/** A new pool, whose types are not checked. */
export const NEW_POOL: Subject = {
  group: 'pool.kubevirt.io',
  version: 'v1beta1',
  path: '/virtualmachinepool-validate',
  resource: 'virtualmachinepools',
  object: {
    apiVersion: 'pool.kubevirt.io/v1beta1',
    kind: 'VirtualMachinePool',
    metadata: meta,
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: 'a' } },
      virtualMachineTemplate: {
        metadata: { labels: { app: 'a' } },
        spec: { runStrategy: 'Halted', template: { metadata: {}, spec: GUEST } },
      },
    },
  },
}

/** An object in the namespace of the reviews, as the cluster has it. */
export function stored(kind: string, name: string, rest: JsonRecord = {}): JsonRecord {
  const { metadata, ...others } = rest
  return {
    kind,
    metadata: { name, namespace: 'default', uid: `uid-of-${name}`, ...(isRecord(metadata) && metadata) },
    ...others,
  }
}

/** What the object becomes by the patch of a mutating webhook. */
export async function mutated(subject: Subject, edits: Edits, parts?: AdmissionParts): Promise<JsonRecord> {
  const response = await respond(subject, edits, parts)
  expect(response).toMatchObject({ allowed: true })
  const object = { root: edited(subject.object, edits) }
  for (const { op, path, value } of operationsOf(response)) {
    const steps = ['root', ...path.split('/').slice(1)].map((step) =>
      step.replaceAll('~1', '/').replaceAll('~0', '~'),
    )
    const last = steps.pop() ?? ''
    // The path of an operation leads through objects and lists.
    const parent = steps.reduce<JsonRecord>((at, step) => at[step] as JsonRecord, object)
    if (op === 'remove') delete parent[last]
    else parent[last] = value
  }
  return object.root
}

/** The operations of a patch; none where there is no patch. */
export function operationsOf({ patch }: Response): { op: string; path: string; value?: unknown }[] {
  return patch === undefined ? [] : JSON.parse(Buffer.from(patch, 'base64').toString('utf8'))
}
