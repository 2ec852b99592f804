/** Contract: admission-vmi.md, 2 and 4.10. */
import { describe } from 'vitest'
import { NEW_VMI, testRules, type Edits } from '../../helpers/rule-cases.ts'

const I = 'spec.domain.devices.interfaces'
const N = 'spec.networks'

/** A guest with one interface and one network. */
function one(members: object, network: object = { pod: {} }): Edits {
  return { [I]: [{ name: 'n', ...members }], [N]: [{ name: 'n', ...network }] }
}

/** A guest with a second interface and network beside the first. */
function two(members: object, network: object): Edits {
  return { [`${I}[1]`]: { name: 'm', ...members }, [`${N}[1]`]: { name: 'm', ...network } }
}

const multus = { multus: { networkName: 'blue' } }
const masquerade = { masquerade: {} }
const bridge = { bridge: {} }

describe('bindings that were removed', () => {
  testRules(NEW_VMI, [
    ['VMI-NETD-001', one({ slirp: {} }), `Invalid ${I}[0].slirp`],
    ['VMI-NETD-002', one({ passt: {} }), `Invalid ${I}[0].passt`],
    ['VMI-NETD-003', one({ macvtap: {} }), `Invalid ${I}[0].macvtap`],
    ['VMI-FGD-001', { ...one({ passt: {} }), '@on': ['Passt'] }, 'NotSupported', { '@on': ['Passt'] }],
    ['VMI-FGD-002', { ...one({ macvtap: {} }), '@on': ['Macvtap'] }, 'NotSupported', { '@on': ['Macvtap'] }],
  ])
})

describe('networks', () => {
  testRules(NEW_VMI, [
    ['VMI-NET-001', two(masquerade, { pod: {} }), 'Duplicate spec.interfaces', two(bridge, multus)],
    [
      'VMI-NET-002',
      {
        [I]: [
          { name: 'n', ...bridge },
          { name: 'm', ...bridge },
        ],
        [N]: ['n', 'm'].map((name) => ({ name, multus: { networkName: 'blue', default: true } })),
      },
      `Invalid ${N}`,
      one(bridge, { multus: { networkName: 'blue', default: true } }),
    ],
    [
      'VMI-NET-003',
      two(bridge, { multus: { networkName: 'blue', default: true } }),
      `Invalid ${N}`,
      two(bridge, multus),
    ],
    ['VMI-NET-004', one(bridge, {}), `Required ${N}[0]`, one(bridge, multus)],
    ['VMI-NET-005', one(masquerade, { pod: {}, ...multus }), `Required ${N}[0]`],
    ['VMI-NET-006', one(bridge, { multus: { networkName: '' } }), `Required ${N}[0]`, one(bridge, multus)],
    ['VMI-NET-017', { [`${N}[1]`]: { name: 'n', ...multus } }, `Duplicate ${N}[1].name`, two(bridge, multus)],
    ['VMI-NET-025', { [`${N}[1]`]: { name: 'm', ...multus } }, `Required ${N}[1].name`, two(bridge, multus)],
  ])
})

describe('links and bindings', () => {
  testRules(NEW_VMI, [
    [
      'VMI-NET-007',
      one({ ...masquerade, state: 'on' }),
      `Invalid ${I}[0].state`,
      one({ ...masquerade, state: 'up' }),
    ],
    [
      'VMI-NET-008',
      one({ sriov: {}, state: 'down' }, multus),
      `Invalid ${I}[0].state`,
      one({ ...bridge, state: 'down' }, multus),
    ],
    [
      'VMI-NET-009',
      two({ sriov: {}, state: 'absent' }, multus),
      `Invalid ${I}[1].state`,
      two({ ...bridge, state: 'absent' }, multus),
    ],
    [
      'VMI-NET-010',
      one({ ...bridge, state: 'absent' }),
      `Invalid ${I}[0].state`,
      two({ ...bridge, state: 'absent' }, multus),
    ],
    ['VMI-NET-011', one({}), `Invalid ${I}[0]`, one({ binding: { name: 'mine' } }, multus)],
    ['VMI-NET-012', one(masquerade, multus), `Invalid ${I}[0].name`, one(masquerade)],
    [
      'VMI-NET-013',
      one({ ...masquerade, macAddress: '02:00:00:00:00:00' }),
      `Invalid ${I}[0].macAddress`,
      one({ ...masquerade, macAddress: '02:00:00:00:00:01' }),
    ],
    [
      'VMI-NET-014',
      { ...one(bridge), '@configuration': { network: { permitBridgeInterfaceOnPodNetwork: false } } },
      `Invalid ${I}[0].name`,
      one(bridge),
    ],
    [
      'VMI-NET-015',
      { ...one({ passtBinding: {} }), '@off': ['PasstBinding'] },
      `Invalid ${I}[0].name`,
      one({ passtBinding: {} }),
    ],
    ['VMI-NET-016', one({ passtBinding: {} }, multus), `Invalid ${I}[0].name`, one({ passtBinding: {} })],
  ])
})

const on = { '@on': ['NetworkDevicesWithDRA'] }
const claim = (resourceClaim: object = { claimName: 'c', requestName: 'r' }) => ({ resourceClaim })
const claims = { 'spec.resourceClaims': [{ name: 'c', resourceClaimName: 'x' }] }
const claimed = { ...on, ...claims, ...one({ sriov: {} }, claim()) }

describe('networks by claim', () => {
  testRules(NEW_VMI, [
    ['VMI-NET-018', { ...claimed, '@on': [] }, `Invalid ${N}`, claimed],
    [
      'VMI-NET-019',
      { ...claimed, [`${I}[1]`]: { name: 'm', ...bridge }, [`${N}[1]`]: { name: 'm', ...multus } },
      `Invalid ${N}`,
      claimed,
    ],
    ['VMI-NET-020', { ...claimed, [I]: [{ name: 'n', ...bridge }] }, `Invalid ${I}`, claimed],
    [
      'VMI-NET-021',
      { ...claimed, [`${N}[0]`]: { name: 'n', ...claim({ requestName: 'r' }) } },
      `Required ${N}[0].resourceClaim.claimName`,
      claimed,
    ],
    [
      'VMI-NET-022',
      { ...claimed, [`${N}[0]`]: { name: 'n', ...claim({ claimName: 'c' }) } },
      `Required ${N}[0].resourceClaim.requestName`,
      claimed,
    ],
    [
      'VMI-NET-023',
      { ...claimed, [`${N}[0]`]: { name: 'n', ...claim({ claimName: 'd', requestName: 'r' }) } },
      `NotFound ${N}[0].resourceClaim.claimName`,
      claimed,
    ],
    [
      'VMI-NET-024',
      { ...claimed, [`${I}[1]`]: { name: 'm', sriov: {} }, [`${N}[1]`]: { name: 'm', ...claim() } },
      `Duplicate ${N}[1]`,
      {
        ...claimed,
        [`${I}[1]`]: { name: 'm', sriov: {} },
        [`${N}[1]`]: { name: 'm', ...claim({ claimName: 'c', requestName: 's' }) },
      },
    ],
  ])
})

describe('interfaces', () => {
  const mac = (macAddress: string) => one({ ...masquerade, macAddress })
  testRules(NEW_VMI, [
    ['VMI-NET-026', { [`${I}[1]`]: { name: 'n', ...masquerade } }, `Duplicate ${I}[1].name`],
    ['VMI-NET-027', { [`${I}[1]`]: { name: 'm', ...bridge } }, `Invalid ${I}[1].name`, two(bridge, multus)],
    [
      'VMI-NET-028',
      { [I]: [{ name: 'a.b', ...masquerade }], [N]: [{ name: 'a.b', pod: {} }] },
      `Invalid ${I}[0].name`,
      { [I]: [{ name: 'A_b-1', ...masquerade }], [N]: [{ name: 'A_b-1', pod: {} }] },
    ],
    [
      'VMI-NET-029',
      one({ ...masquerade, model: 'e100' }),
      `NotSupported ${I}[0].model`,
      one({ ...masquerade, model: 'e1000e' }),
    ],
    ['VMI-NET-030', mac('02:00:00:00:00'), `Invalid ${I}[0].macAddress`, mac('02-00-00-00-00-01')],
    [
      'VMI-NET-031',
      one({ ...masquerade, pciAddress: '81:01.0' }),
      `Invalid ${I}[0].pciAddress`,
      one({ ...masquerade, pciAddress: '0000:81:01.0' }),
    ],
  ])
})

describe('ports', () => {
  const ports = (...list: object[]) => one({ ...masquerade, ports: list })
  const P = `${I}[0].ports`
  testRules(NEW_VMI, [
    [
      'VMI-NET-032',
      ports({ name: 'http', port: 80 }, { name: 'http', port: 81 }),
      `Duplicate ${P}[1].name`,
      ports({ name: 'http', port: 80 }, { name: 'https', port: 81 }),
    ],
    [
      'VMI-NET-033',
      ports({ name: '-a', port: 80 }),
      `Invalid ${P}[0].name`,
      ports({ name: 'a-1', port: 80 }),
    ],
    ['VMI-NET-034', ports({ name: 'a' }), `Required ${P}[0].port`, ports({ port: 1 })],
    ['VMI-NET-035', ports({ port: 65_536 }), `Invalid ${P}[0].port`, ports({ port: 65_535 })],
    [
      'VMI-NET-036',
      ports({ port: 1, protocol: 'SCTP' }),
      `Invalid ${P}[0].protocol`,
      ports({ port: 1, protocol: 'UDP' }),
    ],
  ])
})

describe('ranges of ports', () => {
  const range = { protocol: 'TCP', start: 10, end: 20 }
  const gate = { '@on': ['PortRangesSpec'] }
  const ranges = (...portRanges: object[]) => ({ ...gate, ...one({ ...masquerade, portRanges }) })
  const R = `${I}[0].portRanges`
  testRules(NEW_VMI, [
    ['VMI-NET-037', one({ ...masquerade, portRanges: [] }), `Invalid ${I}[0].name`, ranges()],
    [
      'VMI-NET-038',
      { ...gate, ...one({ ...masquerade, portRanges: [range], ports: [{ port: 1 }] }) },
      `Invalid ${I}[0].name`,
      ranges(range),
    ],
    [
      'VMI-NET-039',
      { ...gate, ...one({ ...bridge, portRanges: [range] }) },
      `Invalid ${I}[0].name`,
      ranges(range),
    ],
    [
      'VMI-NET-040',
      ranges(...Array.from({ length: 11 }, (_, at) => ({ ...range, start: at + 1, end: at + 1 }))),
      `Invalid ${R}`,
      ranges(...Array.from({ length: 10 }, (_, at) => ({ ...range, start: at + 1, end: at + 1 }))),
    ],
    ['VMI-NET-041', ranges({ ...range, protocol: 'SCTP' }), `Invalid ${R}[0].protocol`, ranges(range)],
    ['VMI-NET-042', ranges({ ...range, start: 0 }), `Invalid ${R}[0].start`, ranges({ ...range, start: 1 })],
    [
      'VMI-NET-043',
      ranges({ ...range, end: 65_536 }),
      `Invalid ${R}[0].end`,
      ranges({ ...range, end: 65_535 }),
    ],
    ['VMI-NET-044', ranges({ ...range, end: 9 }), `Invalid ${R}[0].start`, ranges({ ...range, end: 10 })],
    [
      'VMI-NET-045',
      ranges(range, { ...range, start: 20, end: 30 }),
      `Invalid ${R}`,
      ranges(range, { ...range, start: 21, end: 30 }, { ...range, protocol: 'UDP' }),
    ],
  ])
})

describe('DHCP', () => {
  const dhcp = (dhcpOptions: object) => one({ ...masquerade, dhcpOptions })
  const option = (number: number) => ({ option: number, value: 'x' })
  testRules(NEW_VMI, [
    [
      'VMI-NET-046',
      dhcp({ privateOptions: [option(240), option(240)] }),
      'Invalid spec',
      dhcp({ privateOptions: [option(240), option(241)] }),
    ],
    [
      'VMI-NET-047',
      dhcp({ privateOptions: [option(223)] }),
      'Invalid spec',
      dhcp({ privateOptions: [option(254)] }),
    ],
    [
      'VMI-NET-048',
      dhcp({ ntpServers: ['10.0.0.1', 'time.example.com'] }),
      `Invalid ${I}[0].dhcpOptions.ntpServers[1]`,
      dhcp({ ntpServers: ['010.0.0.1'] }),
    ],
  ])
})
