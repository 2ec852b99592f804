/** Contract: admission-overview.md, 2 to 6 and 12. */
import Fastify from 'fastify'
import { afterAll, describe, expect, test } from 'vitest'
import { registerWebhooks } from '../../../src/http/webhook-routes.ts'
import type { JsonRecord } from '../../../src/lib/json.ts'
import { memoryLog } from '../../helpers/api.ts'
import {
  complaintsOf,
  edited,
  GUEST,
  mutated,
  NEW_POOL,
  NEW_VM,
  NEW_VMI,
  partsFor,
  respond,
  stored,
  testRules,
  type Edits,
  type RuleCase,
  type Subject,
} from '../../helpers/rule-cases.ts'

const app = Fastify()
registerWebhooks(app, { admission: partsFor({}), log: memoryLog() })
afterAll(() => app.close())

const review = (rest: JsonRecord = {}) => ({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  request: {
    uid: 'u-1',
    resource: { group: 'kubevirt.io', version: 'v1', resource: 'virtualmachineinstances' },
    operation: 'CREATE',
    object: NEW_VMI.object,
  },
  ...rest,
})

async function post(body: unknown, { type = 'application/json', url = NEW_VMI.path } = {}) {
  const payload = typeof body === 'string' ? body : JSON.stringify(body)
  const { statusCode, payload: answer } = await app.inject({
    method: 'POST',
    url,
    payload,
    headers: { 'content-type': type },
  })
  return { code: statusCode, answer: answer === '' ? undefined : (JSON.parse(answer) as JsonRecord) }
}

describe('over HTTP', () => {
  test.each<[string, unknown, string]>([
    ['ADM-HTTP-001', review(), 'application/json; charset=utf-8'],
    ['ADM-HTTP-002', '{"request": ', 'application/json'],
    ['ADM-HTTP-004', review({ request: null }), 'application/json'],
    ['CRASH-001', {}, 'application/json'],
  ])('%s: 400 and no body', async (_id, body, type) => {
    expect(await post(body, { type })).toEqual({ code: 400, answer: undefined })
    expect(await post(review())).toMatchObject({ code: 200 })
  })

  // Contract: ADM-HTTP-003: reviews are sent by POST; nothing is served by any other method.
  test.each<[string, unknown, string]>([
    ['ADM-HTTP-005', review(), ''],
    ['ADM-HTTP-006', review({ kind: 'Something' }), ''],
    ['ADM-HTTP-007', review(), '?timeout=10s'],
  ])('%s: is reviewed', async (_id, body, query) => {
    const { code, answer } = await post(body, { url: `${NEW_VMI.path}${query}` })
    expect([code, answer]).toMatchObject([200, { kind: 'AdmissionReview', response: { allowed: true } }])
  })

  test.each<[string, JsonRecord, string, JsonRecord]>([
    [
      'ADM-RESP-001',
      { apiVersion: 'admission.k8s.io/v1beta1' },
      NEW_VMI.path,
      { apiVersion: 'admission.k8s.io/v1beta1' },
    ],
    [
      'ADM-RESP-002',
      { apiVersion: 'x/v9' },
      '/virtualmachineinstances-mutate',
      { apiVersion: 'admission.k8s.io/v1' },
    ],
    ['ADM-RESP-003', {}, NEW_VMI.path, { response: { uid: 'u-1' } }],
  ])('%s', async (_id, rest, url, wanted) => {
    expect((await post(review(rest), { url })).answer).toMatchObject({ kind: 'AdmissionReview', ...wanted })
  })

  test('ADM-RESP-004, ADM-RESP-005: what is allowed is told in two members', async () => {
    expect((await post(review())).answer).toEqual({
      kind: 'AdmissionReview',
      apiVersion: 'admission.k8s.io/v1',
      response: { uid: 'u-1', allowed: true },
    })
  })
})

describe('refusals', () => {
  const fifteen = Array.from({ length: 15 }, (_, at) => ({ key: '-', values: [String(at)], operator: 'In' }))
  const many = {
    'spec.affinity.nodeAffinity': {
      requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: fifteen }] },
    },
  }
  const METADATA = { metadata: {} }

  test('ADM-DENY-001, ADM-RESP-006: with causes', async () => {
    const { status } = await respond(NEW_VMI, { 'spec.hostname': 'A' })
    expect(status).toEqual({
      ...METADATA,
      code: 422,
      reason: 'Invalid',
      message: expect.stringMatching(/^spec\.hostname: ./),
      details: {
        causes: [{ reason: 'FieldValueInvalid', field: 'spec.hostname', message: expect.any(String) }],
      },
    })
  })

  test('ADM-DENY-002: without', async () => {
    const { status } = await respond(NEW_VMI, { 'metadata.labels': { a: 1 } })
    expect(status).toEqual({ ...METADATA, code: 400, message: expect.stringContaining('metadata.labels[a]') })
  })

  test('ADM-DENY-006: a mistake of ours is one, and tells nothing', async () => {
    const parts = partsFor({})
    const broken = () => {
      throw new TypeError('secret')
    }
    const own = Fastify()
    registerWebhooks(own, { admission: { ...parts, config: broken }, log: memoryLog() })
    const { payload } = await own.inject({
      method: 'POST',
      url: NEW_VMI.path,
      payload: JSON.stringify(review()),
      headers: { 'content-type': 'application/json' },
    })
    await own.close()
    const { response } = JSON.parse(payload) as { response: { status: JsonRecord } }
    expect(response.status).toEqual({
      ...METADATA,
      code: 500,
      message: expect.not.stringContaining('secret'),
    })
  })

  test('ADM-CAUSE-001, ADM-CAUSE-002: ten causes, and how many more there are', async () => {
    const { status } = await respond(NEW_VMI, many)
    expect(status?.details?.causes).toHaveLength(10)
    expect(status?.message).toMatch(/, and 5 more$/)
    expect((await respond(NEW_VMI, { 'spec.hostname': 'A' })).status?.message).not.toContain('more')
  })

  test('ADM-CAUSE-003: a cause that comes twice is told twice', async () => {
    const causes = await complaintsOf(NEW_VMI, { 'spec.networks[0]': { name: 'n' } })
    expect(causes.filter((cause) => cause === 'Required spec.networks[0]')).toHaveLength(2)
  })

  test('ADM-CAUSE-004: of maps, each entry has its cause', async () => {
    const causes = await complaintsOf(NEW_VMI, {
      'spec.topologySpreadConstraints': [
        {
          maxSkew: 1,
          topologyKey: 'a',
          whenUnsatisfiable: 'DoNotSchedule',
          labelSelector: { matchLabels: { '-': 'a', b: '-' } },
        },
      ],
    })
    expect(causes).toEqual(Array(2).fill('Invalid spec.topologySpreadConstraints.labelSelector.matchLabels'))
  })
})

describe('the shape', () => {
  const SPEC = 'spec.domain'
  const DV = { metadata: { name: 'dv' }, spec: { storage: {}, source: { blank: {} } } }
  const shapes: RuleCase[] = [
    ['ADM-SCH-001', { colour: 'red' }, ''],
    ['ADM-SCH-002', { spec: undefined }, ''],
    ['ADM-SCH-003', { spec: 'text' }, ''],
    ['ADM-SCH-004', { status: { phase: 1 } }, '', { status: { phase: 'Running', colour: 'red' } }],
    ['ADM-SCH-010', { 'spec.hostname': null }, '', { 'metadata.creationTimestamp': null }],
    ['ADM-SCH-011', { [`${SPEC}.cpu`]: [] }, '', { [`${SPEC}.cpu`]: {} }],
    ['ADM-SCH-012', { [`${SPEC}.cpu`]: { cores: 1.5 } }, '', { [`${SPEC}.cpu`]: { cores: 1 } }],
    ['ADM-SCH-013', { [`${SPEC}.memory.guest`]: true }, '', { [`${SPEC}.memory.guest`]: 1_073_741_824 }],
    [
      'ADM-SCH-014',
      { 'spec.readinessProbe': { httpGet: { port: {} } } },
      '',
      { 'spec.readinessProbe': { httpGet: { port: 'http' } } },
    ],
    [
      'ADM-SCH-015',
      { 'status.phaseTransitionTimestamps': [{ phase: 'Running', phaseTransitionTimestamp: 'today' }] },
      '',
      {
        'status.phaseTransitionTimestamps': [
          { phase: 'Running', phaseTransitionTimestamp: '2026-01-01T00:00:00Z' },
        ],
      },
    ],
    ['ADM-SCH-016', { 'spec.colour': 'red' }, '', { 'spec.id': 'x', 'spec.$schema': 1 }],
    ['ADM-SCH-017', { 'spec.nodeSelector': { a: 1 } }, '', { 'spec.nodeSelector': { 'any key': 'x' } }],
    ['ADM-SCH-018', { [`${SPEC}.devices.rng`]: { a: 1 } }, '', { [`${SPEC}.devices.rng`]: {} }],
    [
      'ADM-SCH-019',
      { [SPEC]: { memory: { guest: '1Gi' } }, 'spec.networks': [], 'spec.volumes': [] },
      '',
      { [`${SPEC}.devices`]: {}, 'spec.networks': [], 'spec.volumes': [], [`${SPEC}.machine`]: {} },
    ],
    ['ADM-SCH-020', { 'spec.dnsPolicy': '' }, '', { 'spec.dnsPolicy': 'Default' }],
    ['ADM-SCH-021', { 'spec.tolerations': [{}, { key: 1 }] }, '', { 'spec.tolerations': [{ key: 'a' }] }],
  ]
  testRules(NEW_VMI, shapes)

  test('ADM-SCH-022: neither patterns nor lengths are looked at', async () => {
    const edits = { 'spec.schedulerName': ' any text '.repeat(100), 'spec.priorityClassName': '-' }
    expect(await complaintsOf(NEW_VMI, edits)).toEqual([])
  })

  test('ADM-SCH-010: the status of a DataVolume template may be null', async () => {
    const edits = {
      'spec.dataVolumeTemplates': [{ ...DV, status: null }],
      'spec.template.spec.volumes[0]': { name: 'd', dataVolume: { name: 'dv' } },
    }
    expect(await complaintsOf(NEW_VM, edits)).toEqual([])
  })

  test('ADM-SCH-003: mistakes that read the same are told once', async () => {
    const { status } = await respond(NEW_VMI, { spec: undefined })
    const messages = (status?.details?.causes ?? []).map(({ message }) => message)
    expect(new Set(messages).size).toBe(messages.length)
  })
})

/** A pool's types are decoded and not checked before. */
describe('decoding', () => {
  const T = 'spec.virtualMachineTemplate.spec.template.spec'
  testRules(NEW_POOL, [
    ['ADM-DEC-001', { [`${T}.HostName`]: 'A' }, `Invalid ${T}.hostname`, { [`${T}.colour`]: 'red' }],
    [
      'ADM-DEC-002',
      { [`${T}.domain.devices.gpus`]: [{ name: 'g', deviceName: 'x', claimName: null }] },
      `Invalid ${T}.domain.devices.gpus`,
      { [`${T}.hostname`]: null },
    ],
    [
      'ADM-DEC-003',
      { [`${T}.domain.cpu`]: { cores: -1 } },
      '400',
      { [`${T}.domain.cpu`]: { cores: 4_294_967_295 } },
    ],
    ['ADM-DEC-004', { [`${T}.hostname`]: true }, '400', { 'spec.paused': true }],
    [
      'ADM-DEC-005',
      { [`${T}.domain.memory.guest`]: '1 Gi' },
      '400',
      { [`${T}.domain.memory.guest`]: ' 1Gi ' },
    ],
    ['ADM-DEC-006', { 'spec.maxUnavailable': 2 ** 31 }, '400', { 'spec.maxUnavailable': 2 }],
    [
      'ADM-DEC-007',
      { 'metadata.deletionTimestamp': 'today' },
      '400',
      { 'metadata.deletionTimestamp': '2026-01-01T00:00:00.5+01:00' },
    ],
    [
      'ADM-DEC-008',
      { [`${T}.dnsConfig`]: { nameservers: ['1.2.3'] } },
      'Invalid nameservers',
      { [`${T}.dnsConfig`]: { nameservers: ['01.02.03.004'] } },
    ],
    [
      'ADM-DEC-009',
      { [`${T}.utilityVolumes`]: [] },
      `Invalid ${T}.utilityVolumes`,
      { [`${T}.tolerations`]: [] },
    ],
    ['ADM-DEC-010', { 'metadata.labels': { a: 1 } }, '400', { 'metadata.labels': { a: '1' } }],
  ])
})

/** Where the reference drops the connection, an answer is given. */
describe('inputs that break the reference', () => {
  const CLONE: Subject = {
    group: 'clone.kubevirt.io',
    version: 'v1beta1',
    resource: 'virtualmachineclones',
    path: '/vm-clone-validate-create',
    object: {
      kind: 'VirtualMachineClone',
      metadata: {},
      spec: { source: { apiGroup: 'kubevirt.io', kind: 'VirtualMachine', name: 'a' } },
    },
  }
  const MEMORY = 'spec.domain.memory'
  const huge = (pageSize: string) => ({ [MEMORY]: { hugepages: { pageSize } } })
  const us = { '@user': { username: 'system:serviceaccount:kubevirt:kubevirt-controller' } }
  const it = stored('VirtualMachineInstancetype', 'i', {
    spec: { cpu: { guest: 2 }, memory: { guest: '1Gi' } },
  })
  const spread = stored('VirtualMachinePreference', 'p', {
    spec: { cpu: { preferredCPUTopology: 'spread', spreadOptions: { ratio: 0 } } },
  })
  const features = stored('VirtualMachinePreference', 'p', {
    spec: { cpu: { preferredCPUFeatures: [{ name: 'x' }] } },
  })
  const preferring: Edits = { 'spec.preference': { kind: 'VirtualMachinePreference', name: 'p' } }
  const typed: Edits = {
    'spec.instancetype': { kind: 'VirtualMachineInstancetype', name: 'i' },
    'spec.template.spec.domain.memory': undefined,
  }
  const RESTORE: Subject = {
    group: 'snapshot.kubevirt.io',
    version: 'v1beta1',
    resource: 'virtualmachinerestores',
    path: '/virtualmachinerestores-validate',
    object: {
      kind: 'VirtualMachineRestore',
      metadata: { namespace: 'default' },
      spec: {
        target: { apiGroup: 'kubevirt.io', kind: 'VirtualMachine', name: 'vm' },
        virtualMachineSnapshotName: 's',
      },
    },
  }

  test.each<[string, Subject, Edits, string[]]>([
    ['CRASH-002', NEW_VMI, huge('2Mi'), ['Required spec.domain.memory.guest']],
    [
      'CRASH-003',
      NEW_VMI,
      { ...huge('0'), [`${MEMORY}.guest`]: '1Gi' },
      ['Invalid spec.domain.memory.hugepages.pageSize'],
    ],
    [
      'CRASH-004',
      NEW_VMI,
      { '@configuration': { evictionStrategy: 'Never' } },
      ['Invalid spec.evictionStrategy'],
    ],
    ['CRASH-005', NEW_POOL, { 'spec.virtualMachineTemplate': undefined }, ['Required spec.template']],
    [
      'CRASH-006',
      { ...NEW_VMI, path: '/virtualmachineinstances-validate-update' },
      { ...us, '@old': { 'spec.domain.cpu': { maxSockets: 2 } } },
      ['Invalid'],
    ],
    ['CRASH-007', NEW_VM, { ...preferring, '@objects': [features] }, []],
    [
      'CRASH-008',
      NEW_VM,
      { ...preferring, ...typed, '@objects': [it, spread] },
      ['Invalid instancetype.spec.cpu.guest'],
    ],
    ['CRASH-009', CLONE, { 'spec.source': undefined }, ['400']],
    ['CRASH-010', CLONE, { 'spec.labelFilters': [''] }, ['400']],
    ['CRASH-011', { ...CLONE, path: '/vm-clone-mutate-create' }, { 'spec.source': undefined }, ['400']],
    [
      'CRASH-012',
      { ...NEW_VMI, path: '/virtualmachineinstances-mutate' },
      { 'spec.domain.cpu': { cores: 1, isolateEmulatorThread: true } },
      [],
    ],
    ['CRASH-013', RESTORE, { '@objects': [stored('VirtualMachineSnapshot', 's')] }, ['400']],
    [
      'CRASH-014',
      NEW_VM,
      { '@old': { 'spec.template': undefined }, 'status.snapshotInProgress': 'x' },
      ['NotSupported spec'],
    ],
    [
      'CRASH-015',
      { ...NEW_VMI, path: '/virtualmachineinstances-mutate' },
      { '@objects': [stored('VirtualMachineInstancePreset', 'p', { spec: { selector: {} } })] },
      [],
    ],
    [
      'CRASH-016',
      { ...NEW_VM, path: '/status-validate' },
      {
        '@old': {},
        'spec.template': undefined,
        'status.volumeRequests': [{ removeVolumeOptions: { name: 'd' } }],
      },
      [],
    ],
  ])('%s is answered', async (_id, subject, edits, complaints) => {
    expect(await complaintsOf(subject, edits)).toEqual(complaints)
  })
})

test('the guest of these tests is one that nothing is wrong with', async () => {
  expect(edited(NEW_VMI.object, {})).toMatchObject({ spec: GUEST })
  expect(await complaintsOf(NEW_VMI, {})).toEqual([])
  expect(await mutated({ ...NEW_VMI, path: '/virtualmachineinstances-mutate' }, {})).toMatchObject({
    spec: GUEST,
  })
})
