/** Contract: admission-others.md, 15. */
import { describe, expect, test } from 'vitest'
import type { AdmissionParts } from '../../../src/admission/judge.ts'
import { StatusError } from '../../../src/lib/errors.ts'
import type { JsonRecord } from '../../../src/lib/json.ts'
import type { ObjectReader, ObjectWriter } from '../../../src/store/store.ts'
import { partsFor, respond, stored, type Edits, type Subject } from '../../helpers/rule-cases.ts'

const EVICTION: Subject = {
  group: '',
  version: 'v1',
  resource: 'pods',
  path: '/pod-eviction-validate',
  object: { kind: 'Eviction', apiVersion: 'policy/v1', metadata: { name: 'a', namespace: 'default' } },
}
const launcher = (rest: { status?: object; metadata?: object } = {}, name = 'a') =>
  stored('Pod', name, {
    metadata: {
      labels: { 'kubevirt.io': 'virt-launcher' },
      annotations: { 'kubevirt.io/domain': 'vm' },
      ...rest.metadata,
    },
    spec: { nodeName: 'n1' },
    status: { phase: 'Running', ...rest.status },
  })
const hotplug = (owners: object[] = [{ kind: 'Pod', name: 'owner' }]) =>
  stored('Pod', 'a', { metadata: { labels: { 'kubevirt.io': 'hotplug-disk' }, ownerReferences: owners } })
const migratable = { type: 'LiveMigratable', status: 'True' }
const vmi = (evictionStrategy: string | undefined, status: object = {}, rest: JsonRecord = {}) =>
  stored('VirtualMachineInstance', 'vm', {
    ...rest,
    spec: { ...(evictionStrategy && { evictionStrategy }) },
    status: { nodeName: 'n1', conditions: [migratable], ...status },
  })
const owner = (rest: Parameters<typeof launcher>[0] = {}) => launcher(rest, 'owner')

interface World {
  objects?: JsonRecord[]
  /** A kind that cannot be read just now. */
  broken?: string
  /** Whether VMIs can be written. */
  isReadOnly?: boolean
  cluster?: string
}

/** What is answered to an eviction, and what was written. */
async function evict({ objects = [], broken, isReadOnly, cluster }: World, edits: Edits = {}) {
  const parts = partsFor({
    '@objects': objects,
    ...(cluster && { '@configuration': { evictionStrategy: cluster } }),
  })
  const written: unknown[] = []
  const refuse = (): never => {
    throw new StatusError(503, 'ServiceUnavailable', 'not now')
  }
  const reader: ObjectReader = {
    ...parts.reader,
    get: async (kind, namespace, name) =>
      // The pod that is asked about is found in every case.
      broken === kind.kind && name !== 'a' ? refuse() : parts.reader.get(kind, namespace, name),
  }
  const patch: ObjectWriter['patch'] = async (_kind, _namespace, _name, change, options) => {
    if (isReadOnly) refuse()
    written.push(change.type === 'json' ? change.operations : change, options)
    return {} as never
  }
  const all: AdmissionParts = { ...parts, reader, writer: { patch } }
  const { allowed, status } = await respond(EVICTION, edits, all)
  const refused = { metadata: {}, code: 429, message: expect.any(String) }
  expect(status).toEqual(allowed ? undefined : refused)
  return { allowed, message: status?.message ?? '', written }
}

const evacuation = { op: 'add', path: '/status/evacuationNodeName', value: 'n1' }
const LIVE = 'LiveMigrate'

describe('an eviction is let pass', () => {
  test.each<[string, World]>([
    ['EVI-001', {}],
    ['EVI-002', { objects: [hotplug([{ name: 'owner' }, { name: 'other' }]), owner(), vmi(LIVE)] }],
    ['EVI-003', { objects: [launcher({ status: { phase: 'Succeeded' } }), vmi(LIVE)] }],
    ['EVI-004', { objects: [stored('Pod', 'a'), vmi(LIVE)] }],
    ['EVI-011', { objects: [hotplug()] }],
    ['EVI-012', { objects: [hotplug(), owner({ status: { phase: 'Failed' } }), vmi(LIVE)] }],
    ['EVI-013', { objects: [hotplug(), owner({ metadata: { annotations: {} } }), vmi(LIVE)] }],
    ['EVI-015', { objects: [hotplug(), owner()] }],
    ['EVI-020', { objects: [launcher({ metadata: { annotations: {} } }), vmi(LIVE)] }],
    ['EVI-022', { objects: [launcher(), vmi(undefined)], cluster: 'None' }],
    ['EVI-024: None', { objects: [launcher(), vmi('None')] }],
    [
      'EVI-024: it cannot be moved',
      { objects: [launcher(), vmi('LiveMigrateIfPossible', { conditions: [] })] },
    ],
  ])('%s', async (_id, world) => {
    expect(await evict(world)).toEqual({ allowed: true, message: '', written: [] })
  })

  test('EVI-001: the pod cannot be looked up', async () => {
    const parts = partsFor({})
    const reader: ObjectReader = {
      ...parts.reader,
      get: async () => {
        throw new StatusError(500, 'InternalError', 'broken')
      },
    }
    expect(await respond(EVICTION, {}, { ...parts, reader })).toMatchObject({ allowed: true })
  })
})

describe('an eviction is refused', () => {
  test.each<[string, World, Edits?]>([
    ['EVI-010', { objects: [hotplug(), owner(), vmi(LIVE)], broken: 'Pod' }],
    ['EVI-014', { objects: [hotplug(), owner(), vmi(LIVE)], broken: 'VirtualMachineInstance' }],
    ['EVI-016', { objects: [hotplug(), owner(), vmi(LIVE)] }],
    ['EVI-021', { objects: [launcher()] }],
    ['EVI-023', { objects: [launcher(), vmi(LIVE, { conditions: [] })] }],
    ['EVI-025', { objects: [launcher(), vmi(LIVE, { evacuationNodeName: 'n1' })] }],
    ['EVI-026', { objects: [launcher(), vmi(LIVE, { nodeName: 'n2' })] }],
    ['EVI-027', { objects: [launcher(), vmi(LIVE)] }, { '@request': { object: 'text' } }],
    ['EVI-028', { objects: [launcher(), vmi(LIVE)], isReadOnly: true }],
  ])('%s, and nothing is written', async (_id, world, edits) => {
    expect(await evict(world, edits)).toMatchObject({ allowed: false, written: [] })
  })
})

describe('an eviction moves the guest', () => {
  test.each<[string, World]>([
    ['EVI-029', { objects: [launcher(), vmi(LIVE)] }],
    ['EVI-024: IfPossible', { objects: [launcher(), vmi('LiveMigrateIfPossible')] }],
    ['EVI-024: External', { objects: [launcher(), vmi('External', { conditions: [] })] }],
    ['EVI-022: as the cluster has it', { objects: [launcher(), vmi(undefined)], cluster: LIVE }],
  ])('%s', async (_id, world) => {
    const { allowed, message, written } = await evict(world)
    expect({ allowed, written }).toEqual({ allowed: false, written: [[evacuation], { dryRun: false }] })
    expect(message).toBe('Eviction triggered evacuation of VMI "default/vm"')
  })

  test.each<[string, Edits, boolean]>([
    ['of the review', { '@request': { dryRun: true } }, true],
    ['of the eviction', { deleteOptions: { dryRun: ['All'] } }, true],
    ['that is none', { deleteOptions: { dryRun: [] } }, false],
  ])('EVI-028: a dry run %s', async (_what, edits, dryRun) => {
    const { written } = await evict({ objects: [launcher(), vmi(LIVE)] }, edits)
    expect(written).toEqual([[evacuation], { dryRun }])
  })

  test.each<[string, JsonRecord, object]>([
    [
      'a guest without annotations',
      {},
      { op: 'add', path: '/metadata/annotations', value: { 'kubevirt.io~1eviction-source': 'descheduler' } },
    ],
    [
      'a guest with some',
      { metadata: { annotations: { a: 'b' } } },
      { op: 'replace', path: '/metadata/annotations/kubevirt.io~1eviction-source', value: 'descheduler' },
    ],
  ])('EVI-028: the descheduler is noted on %s', async (_what, rest, operation) => {
    const edits = { 'metadata.annotations': { 'requested-by': 'sigs.k8s.io/descheduler' } }
    const { written } = await evict({ objects: [launcher(), vmi(LIVE, {}, rest)] }, edits)
    expect(written[0]).toEqual([evacuation, operation])
  })

  test('ADM-DENY-003: without somebody who writes, it is refused', async () => {
    const parts = partsFor({ '@objects': [launcher(), vmi(LIVE)] })
    const { status } = await respond(EVICTION, {}, parts)
    expect(status).toEqual({
      metadata: {},
      code: 429,
      message: expect.stringContaining('may not change VMIs'),
    })
  })
})
