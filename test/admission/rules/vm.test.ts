/** Contract: admission-vm.md, 1, 3, 5 and 8 to 10. */
import { describe, expect, test } from 'vitest'
import { kubeVirtUser } from '../../../src/admission/accounts.ts'
import { complaintsOf, GUEST, NEW_VM, respond, testRules, type Edits } from '../../helpers/rule-cases.ts'

const T = 'spec.template.spec'
const I = `${T}.domain.devices.interfaces`
const LABELS = 'spec.template.metadata.labels'

describe('the steps before the rules', () => {
  testRules(NEW_VM, [
    [
      'VM-001',
      { '@request': { resource: { group: 'kubevirt.io', version: 'v2', resource: 'virtualmachines' } } },
      '400',
    ],
    ['VM-002', { 'spec.colour': 'red' }, ''],
    ['VM-003', { 'metadata.labels': { a: 1 } }, '400', { 'metadata.labels': { a: '1' } }],
    [
      'VM-010',
      { [`${I}[0]`]: { name: 'n', passt: {} }, '@on': ['Passt'] },
      'NotSupported',
      { '@on': ['Passt'] },
    ],
    ['VM-011', { [`${I}[0]`]: { name: 'n', slirp: {} } }, 'Invalid spec.domain.devices.interfaces[0].slirp'],
    [
      'VM-DEF-001',
      { [`${T}.architecture`]: 'arm64', [`${T}.domain.machine`]: { type: 'q35' } },
      `Invalid ${T}.domain.machine.type`,
      { [`${T}.architecture`]: '' },
    ],
  ])

  test('VM-004: what is on its way out is admitted, whatever it says', async () => {
    const gone = { 'metadata.deletionTimestamp': '2026-01-01T00:00:00Z', 'spec.runStrategy': 'Never' }
    expect(await respond(NEW_VM, { ...gone, 'spec.running': true })).toEqual({ uid: 'u-1', allowed: true })
    expect(await complaintsOf(NEW_VM, { 'spec.runStrategy': 'Never' })).not.toEqual([])
  })
})

describe('defaults, before it is judged', () => {
  const bare = {
    [`${T}.domain`]: { devices: {}, resources: { requests: { memory: '1Gi' } } },
    [`${T}.networks`]: undefined,
    [`${T}.volumes`]: undefined,
  }
  const network = (members: object) => ({ ...bare, '@configuration': { network: members } })
  testRules(NEW_VM, [
    ['VM-DEF-002', { [`${T}.domain.machine`]: { type: 'none' } }, `Invalid ${T}.domain.machine.type`, bare],
    [
      'VM-DEF-003',
      { [`${T}.domain.resources`]: { requests: { cpu: '3' }, limits: { cpu: '2' } } },
      `Invalid ${T}.domain.resources.requests.cpu`,
      { [`${T}.domain.resources`]: { limits: { cpu: '2' } } },
    ],
    [
      'VM-DEF-004',
      {
        '@configuration': { cpuRequest: '3' },
        [`${T}.domain.resources`]: { limits: { cpu: '0' }, requests: { cpu: '-1' } },
      },
      `Invalid ${T}.domain.resources.requests.cpu`,
      { '@configuration': { cpuRequest: '3' } },
    ],
    [
      'VM-DEF-005',
      {
        ...bare,
        [`${T}.domain.memory`]: { hugepages: { pageSize: '2Mi' } },
        [`${T}.domain.resources.requests.memory`]: '3Mi',
      },
      `Invalid ${T}.domain.resources.requests.memory`,
      { ...bare, [`${T}.domain.memory`]: { hugepages: { pageSize: '2Mi' } }, [`${T}.domain.resources`]: {} },
    ],
    [
      'VM-DEF-006',
      {
        [`${T}.domain.cpu`]: { dedicatedCpuPlacement: true, cores: 2 },
        [`${T}.domain.resources.limits.cpu`]: '4',
      },
      `Invalid ${T}.domain.cpu.dedicatedCpuPlacement`,
      { [`${T}.domain.cpu`]: { dedicatedCpuPlacement: true }, [`${T}.domain.resources.limits.cpu`]: '4' },
    ],
    [
      'VM-DEF-008',
      { '@configuration': { evictionStrategy: 'Never' } },
      `Invalid ${T}.evictionStrategy`,
      { '@configuration': { evictionStrategy: 'LiveMigrate' } },
    ],
    [
      'VM-DEF-009',
      { ...bare, [`${T}.networks`]: [{ name: 'n', pod: {} }] },
      `Required ${T}.networks[0].name`,
      bare,
    ],
    [
      'VM-DEF-010',
      { [`${T}.volumes[1]`]: { name: 'V', emptyDisk: { capacity: '1Gi' } } },
      `Invalid ${T}.domain.devices.disks.domain.devices.disks[1].name`,
      { [`${T}.volumes[1]`]: { name: 'v', emptyDisk: { capacity: '1Gi' } } },
    ],
    ['VM-DEF-E01', network({ permitBridgeInterfaceOnPodNetwork: false }), '400', network({})],
    [
      'VM-DEF-E02',
      network({ defaultNetworkInterface: 'slirp' }),
      '400',
      network({ defaultNetworkInterface: 'masquerade' }),
    ],
  ])

  test('VM-DEF-007: an image without a tag gets a pull policy that is known', async () => {
    expect(
      await complaintsOf(NEW_VM, { [`${T}.volumes[0]`]: { name: 'd', containerDisk: { image: 'a:1' } } }),
    ).toEqual([])
  })
})

describe('the spec', () => {
  testRules(NEW_VM, [
    ['VM-SPEC-001', { 'spec.template': undefined }, ''],
    [
      'VM-SPEC-002',
      { [LABELS]: { 'kubevirt.io/nodeName': 'n1' } },
      'NotSupported spec.template.metadata.labels',
      {
        [LABELS]: { 'kubevirt.io/nodeName': 'n1' },
        '@user': { username: kubeVirtUser('apiserver').name },
      },
    ],
    [
      'VM-SPEC-003',
      {
        [`${T}.domain.devices.gpus`]: [{ name: 'g', deviceName: 'grace' }],
        'spec.template.metadata.annotations': { 'kubevirt.io/disablePCIHole64': 'true' },
        '@configuration': {
          permittedHostDevices: {
            pciHostDevices: [{ pciVendorSelector: '10DE:2342', resourceName: 'grace' }],
          },
        },
      },
      'Invalid spec.template.metadata.annotations[kubevirt.io/disablePCIHole64]',
      { 'spec.template.metadata.annotations': { 'kubevirt.io/disablePCIHole64': 'true' } },
    ],
    ['VM-SPEC-004', { [`${T}.hostname`]: 'A' }, `Invalid ${T}.hostname`, { [`${T}.hostname`]: 'a' }],
    [
      'VM-RUN-001',
      { 'spec.running': true },
      'Invalid spec.running',
      { 'spec.running': true, 'spec.runStrategy': undefined },
    ],
    ['VM-RUN-002', { 'spec.runStrategy': undefined }, 'Invalid spec.running'],
    [
      'VM-RUN-003',
      { 'spec.runStrategy': 'WaitAsReceiver' },
      'Invalid spec.runStrategy',
      { 'spec.runStrategy': 'WaitAsReceiver', '@on': ['DecentralizedLiveMigration'] },
    ],
    [
      'VM-RUN-004',
      { 'spec.runStrategy': 'always' },
      'Invalid spec.runStrategy',
      { 'spec.runStrategy': 'Once' },
    ],
    [
      'VM-LIVE-001',
      { [`${T}.domain.cpu`]: { sockets: 3, maxSockets: 2 } },
      `Invalid ${T}.domain.cpu.sockets`,
      { [`${T}.domain.cpu`]: { sockets: 2, maxSockets: 2 } },
    ],
    [
      'VM-LIVE-002',
      { [`${T}.domain.memory`]: { guest: '1Gi', maxGuest: '1500000000' } },
      `Invalid ${T}.domain.memory.guest`,
      { [`${T}.domain.memory`]: { guest: '1Gi', maxGuest: '4Gi' } },
    ],
  ])
})

describe('data volume templates', () => {
  const spec = { storage: {}, source: { blank: {} } }
  const template = (members: object = {}, metadata: object = { name: 'dv' }): Edits => ({
    'spec.dataVolumeTemplates': [{ metadata, spec: { ...spec, ...members } }],
    [`${T}.volumes[0]`]: { name: 'd', dataVolume: { name: 'dv' } },
  })
  const at = 'spec.dataVolumeTemplate[0]'
  testRules(NEW_VM, [
    ['VM-DVT-001', template({}, {}), `Required ${at}.name`, template()],
    [
      'VM-DVT-002',
      { ...template(), 'spec.dataVolumeTemplates[0].spec': { source: { blank: {} } } },
      `Invalid ${at}.PVC.Storage`,
      template(),
    ],
    ['VM-DVT-003', template({ pvc: {} }), `Invalid ${at}.PVC.Storage`, template()],
    [
      'VM-DVT-004',
      template({ storage: { dataSource: { kind: 'x', name: 'x' } } }),
      `Invalid ${at}.source`,
      {
        ...template(),
        'spec.dataVolumeTemplates[0].spec': { storage: { dataSource: { kind: 'x', name: 'x' } } },
      },
    ],
    [
      'VM-DVT-005',
      { ...template(), 'spec.dataVolumeTemplates[0].spec': { storage: {} } },
      `Invalid ${at}.source.sourceRef`,
      {
        ...template(),
        'spec.dataVolumeTemplates[0].spec': { storage: {}, sourceRef: { kind: 'DataSource', name: 'x' } },
      },
    ],
    ['VM-DVT-006', template({ source: {} }), `Invalid ${at}.source`, template({ source: { upload: {} } })],
    ['VM-DVT-007', template({ source: { blank: {}, upload: {} } }), `Invalid ${at}.source`, template()],
    ['VM-DVT-008', { ...template(), [`${T}.volumes[0]`]: GUEST.volumes[0] }, `Required ${at}`, template()],
  ])
})

describe('what an admitted VM is told', () => {
  test('VM-OK-001: running is deprecated', async () => {
    const { warnings } = await respond(NEW_VM, { 'spec.running': true, 'spec.runStrategy': undefined })
    expect(warnings).toEqual(['spec.running is deprecated: use spec.runStrategy'])
  })

  test('VM-OK-002: nothing else', async () => {
    expect(await respond(NEW_VM, {})).toEqual({ uid: 'u-1', allowed: true })
  })
})
