import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { parseAllDocuments } from 'yaml'
import { defaultConfig, readConfig } from '../../src/admission/config.ts'
import type { AdmissionParts } from '../../src/admission/judge.ts'
import { mayUseAll } from '../../src/kinds/foreign-use.ts'
import type { KubeObject } from '../../src/kinds/meta.ts'
import { copyJson, type JsonRecord } from '../../src/lib/json.ts'
import { matchesLabels, parseLabelSelector } from '../../src/lib/selectors.ts'

/** Recorded verdicts of KubeVirt v1.9.0's webhooks: facts, for comparison. */
const FOLDER = new URL('../vectors/admission/', import.meta.url)

/** What a case starts from. */
export interface Target {
  path: string
  gvk: JsonRecord
  gvr: JsonRecord
  operation: string
  user?: JsonRecord
  object: JsonRecord
  oldObject?: JsonRecord
}

/** What was recorded. Causes are pairs of reason and field. */
export interface Expected {
  allowed?: boolean
  code?: number
  causes?: [string, string][]
  patch?: unknown[]
  /** The connection was dropped: any clean answer is right. */
  crash?: boolean
  error?: string
}

/** One case: a JSON patch on its target's object. */
export interface Vector {
  target: string
  patch: unknown[]
  expect: Expected
}

/** The targets by name. */
export function readTargets(): Record<string, Target> {
  return JSON.parse(readFileSync(new URL('targets.json', FOLDER), 'utf8'))
}

/** The cases of one configuration. */
export function readVectors(name: 'default' | 'gates'): Vector[] {
  const text = gunzipSync(readFileSync(new URL(`${name}.jsonl.gz`, FOLDER))).toString('utf8')
  return text
    .trim()
    .split('\n')
    .map((line): Vector => JSON.parse(line))
}

/** Admission as it stood when the cases were recorded: the configuration, and the objects in the cluster. */
export function recordedParts(name: 'default' | 'gates'): AdmissionParts {
  const gates: string[] =
    name === 'gates' ? JSON.parse(readFileSync(new URL('gates.json', FOLDER), 'utf8')) : []
  const config = readConfig(defaultConfig(''), {
    developerConfiguration: { useEmulation: true, featureGates: gates },
    permittedHostDevices: {
      pciHostDevices: [
        { pciVendorSelector: '10DE:1EB8', resourceName: 'nvidia.com/gpu' },
        { pciVendorSelector: '10DE:1EB9', resourceName: 'vendor.com/dev' },
      ],
    },
  })
  const objects = readFixtures()
  return {
    config: () => config,
    clock: { now: () => Date.now() },
    newUid: randomUUID,
    foreignUses: () => mayUseAll,
    reader: {
      async get(kind, namespace, name) {
        const found = objects.find(
          (object) =>
            object.kind === kind.kind &&
            object.metadata.name === name &&
            (!kind.namespaced || object.metadata.namespace === namespace),
        )
        // What has the name of the kind is of its type.
        return found && (copyJson(found) as never)
      },
      async list(kind, { namespace, labelSelector } = {}) {
        const demands = labelSelector ? parseLabelSelector(labelSelector) : []
        const items = objects.filter(
          (object) =>
            object.kind === kind.kind &&
            (!namespace || object.metadata.namespace === namespace) &&
            matchesLabels(demands, object.metadata.labels),
        )
        // As above.
        return { items: items.map((item) => copyJson(item) as never), resourceVersion: '1' }
      },
    },
  }
}

function readFixtures(): KubeObject[] {
  const text = readFileSync(new URL('fixtures.yaml', FOLDER), 'utf8')
  return parseAllDocuments(text).map((document) => {
    const object: KubeObject & { status?: object } = document.toJS()
    Object.assign(object.metadata, { uid: `uid-of-${object.metadata.name}`, resourceVersion: '1' })
    const status = STATUSES[object.metadata.name]
    return status ? { ...object, status } : object
  })
}

const STATUSES: Record<string, object> = {
  'live-vmi': {
    phase: 'Running',
    nodeName: 'n1',
    conditions: [
      { type: 'LiveMigratable', status: 'True' },
      { type: 'Ready', status: 'True' },
    ],
  },
  'snap-a': { phase: 'Succeeded', readyToUse: true, sourceUID: 'uid-of-src-vm' },
}

/** The review that a client would send. */
export function reviewOf(target: Target, object: unknown): JsonRecord {
  const { metadata } = (object ?? {}) as { metadata?: { name?: string } }
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: '705ab4f5-6393-11e8-b7cc-42010a800002',
      kind: target.gvk,
      resource: target.gvr,
      name: metadata?.name ?? '',
      namespace: 'default',
      operation: target.operation,
      userInfo: target.user ?? {
        username: 'kubernetes-admin',
        groups: ['system:masters', 'system:authenticated'],
      },
      object,
      oldObject: target.oldObject ?? null,
      dryRun: false,
    },
  }
}
