/** Contract: admission-others.md, 1 to 3. */
import { describe, expect, test } from 'vitest'
import { complaintsOf, GUEST, NEW_POOL, testRules, type Subject } from '../../helpers/rule-cases.ts'

const CORE = { group: 'kubevirt.io', version: 'v1' }
const metadata = { name: 'a', namespace: 'default' }
const grace = {
  '@configuration': {
    permittedHostDevices: { pciHostDevices: [{ pciVendorSelector: '10DE:2342', resourceName: 'grace' }] },
  },
}

describe('replica sets', () => {
  const REPLICA_SET: Subject = {
    ...CORE,
    path: '/virtualmachineinstancereplicaset-validate'.replace('instance', ''),
    resource: 'virtualmachineinstancereplicasets',
    object: {
      kind: 'VirtualMachineInstanceReplicaSet',
      apiVersion: 'kubevirt.io/v1',
      metadata,
      spec: {
        selector: { matchLabels: { app: 'a' } },
        template: { metadata: { labels: { app: 'a' } }, spec: GUEST },
      },
    },
  }
  const T = 'spec.template.spec'
  const gpu = { [`${T}.domain.devices.gpus`]: [{ name: 'g', deviceName: 'grace' }] }
  const hole = { 'spec.template.metadata.annotations': { 'kubevirt.io/disablePCIHole64': 'true' } }
  testRules(REPLICA_SET, [
    ['RS-001: the shape says so first', { 'spec.template': undefined }, ''],
    [
      'RS-002',
      { ...grace, ...gpu, ...hole },
      'Invalid spec.template.metadata.annotations[kubevirt.io/disablePCIHole64]',
      hole,
    ],
    ['RS-003', { [`${T}.hostname`]: 'A' }, `Invalid ${T}.hostname`, { [`${T}.hostname`]: 'a' }],
    [
      'RS-004',
      { 'spec.selector': { matchExpressions: [{ key: 'app', operator: 'Like' }] } },
      'Invalid spec.selector',
      { 'spec.selector': { matchExpressions: [{ key: 'app', operator: 'Exists' }] } },
    ],
    [
      'RS-005',
      { 'spec.template.metadata.labels': { app: 'b' } },
      'Invalid spec.selector',
      { 'spec.template.metadata.labels': { app: 'a', b: 'c' } },
    ],
    [
      'RS-006',
      { [`${T}.domain.devices.interfaces[0].passt`]: {}, '@on': ['Passt'] },
      'NotSupported',
      { [`${T}.domain.devices.interfaces[0].passt`]: {}, '@on': ['Passt'], '@old': {} },
    ],
  ])
})

describe('pools', () => {
  const S = 'spec.virtualMachineTemplate.spec'
  const T = `${S}.template.spec`
  const may = (maxUnavailable: unknown) => ({ 'spec.maxUnavailable': maxUnavailable })
  const BAD = 'Invalid spec.maxUnavailable'
  testRules(NEW_POOL, [
    ['POOL-001', { 'spec.virtualMachineTemplate': undefined }, 'Required spec.template'],
    ['POOL-002', { [`${S}.template`]: undefined }, `Required ${S}.template`],
    [
      'POOL-003',
      { 'spec.selector': { matchLabels: { 'a b': 'c' } } },
      'Invalid spec.selector',
      { 'spec.selector': {} },
    ],
    ['POOL-004', { 'spec.selector': undefined }, 'Invalid spec.selector'],
    ['POOL-005', may('half'), BAD, may('50%')],
    ['POOL-006', may('half%'), BAD, may('+50%')],
    ['POOL-007', may('101%'), BAD, may('100%')],
    ['POOL-008', may(0), BAD, may(1)],
    [
      'POOL-009',
      { 'spec.updateStrategy': { unmanaged: {}, proactive: {} } },
      'Invalid spec.updateStrategy',
      { 'spec.updateStrategy': { proactive: {} } },
    ],
    [
      'POOL-010',
      { 'spec.scaleInStrategy': { unmanaged: {}, opportunistic: {} } },
      'Invalid spec.scaleInStrategy',
      { 'spec.scaleInStrategy': {} },
    ],
    ['POOL-011', { '@operation': 'UPDATE', '@old': null }, 'UnexpectedServerResponse', { '@old': {} }],
    [
      'POOL-012',
      { '@old': { 'spec.selector': { matchLabels: { app: 'b' } } } },
      'Invalid spec.selector',
      { '@old': {}, 'spec.replicas': 3 },
    ],
    [
      'POOL-013',
      { [`${T}.domain.devices.interfaces[0].macvtap`]: {}, '@on': ['Macvtap'] },
      'NotSupported',
      { [`${T}.domain.devices.interfaces[0].macvtap`]: {}, '@on': ['Macvtap'], '@old': {} },
    ],
  ])

  // Contract: POOL-001, POOL-002, CRASH-005.
  test.each(['spec.virtualMachineTemplate', `${S}.template`])(
    '%s is missed in an update, too',
    async (path) => {
      const causes = await complaintsOf(NEW_POOL, { '@old': {}, [path]: undefined })
      expect(causes.filter((cause) => cause.startsWith('Required'))).toHaveLength(1)
    },
  )
})

describe('presets', () => {
  const PRESET: Subject = {
    ...CORE,
    path: '/vmipreset-validate',
    resource: 'virtualmachineinstancepresets',
    object: {
      kind: 'VirtualMachineInstancePreset',
      apiVersion: 'kubevirt.io/v1',
      metadata,
      spec: { selector: {}, domain: { devices: { disks: [{ name: 'd', disk: {} }] } } },
    },
  }
  const K = 'spec.domain.devices.disks'
  const loader = 'spec.domain.firmware.bootloader'
  testRules(PRESET, [
    ['PRESET-001', { 'spec.domain': undefined }, 'Required spec.domain'],
    [
      'PRESET-002',
      { [`${K}[0].io`]: 'odd' },
      `NotSupported ${K}.domain.devices.disks[0].io`,
      { [`${K}[0].io`]: 'native' },
    ],
    ['PRESET-003', { [loader]: { efi: {}, bios: {} } }, `Invalid ${loader}`, { [loader]: { efi: {} } }],
  ])
})
