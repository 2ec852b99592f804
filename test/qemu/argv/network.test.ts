import { describe, expect, test } from 'vitest'
import { buildArgv, macOf } from '../../../src/qemu/argv/index.ts'
import { addressAt, parseCidr } from '../../../src/qemu/argv/cidr.ts'
import { type InterfaceSpec, SPEC } from '../../../src/qemu/argv/spec.ts'
import type { VmiSpec } from '../../../src/kinds/kubevirt.ts'
import { makePlan } from '../plans.ts'
import { deviceOf, objectsOf } from './read.ts'

function build(iface: Partial<InterfaceSpec>, spec: Partial<VmiSpec> = {}) {
  return buildArgv(
    makePlan({ devices: { interfaces: [{ name: 'default', masquerade: {}, ...iface }] }, spec }),
  )
}

describe('the network of a pod', () => {
  test('looks to the guest as it does in a cluster', () => {
    expect(objectsOf(build({}).argv, '-netdev')).toEqual([
      {
        type: 'user',
        id: 'hn-default',
        ipv4: true,
        net: '10.0.2.0/24',
        host: '10.0.2.1',
        dhcpstart: '10.0.2.2',
        dns: '10.0.2.3',
        ipv6: false,
        hostname: 'vm1',
        dnssearch: [{ str: 'default.svc.cluster.local' }],
      },
    ])
  })

  test('can have other addresses', () => {
    const pod = { vmNetworkCIDR: '192.168.7.128/25', vmIPv6NetworkCIDR: 'fd10:0:2::/120' }
    const { argv } = build({}, { networks: [{ name: 'default', pod }] })
    expect(objectsOf(argv, '-netdev')[0]).toMatchObject({
      net: '192.168.7.128/25',
      host: '192.168.7.129',
      dhcpstart: '192.168.7.130',
      dns: '192.168.7.131',
      ipv6: true,
      'ipv6-prefix': 'fd10:0:2::',
      'ipv6-prefixlen': 120,
    })
  })

  test.each(['10.0.2.0', '10.0.2.0/30', '300.0.0.0/8', '10.0.0.0/33', 'x/24'])(
    'cannot be %s',
    (vmNetworkCIDR) => {
      expect(() => build({}, { networks: [{ name: 'default', pod: { vmNetworkCIDR } }] })).toThrow(
        /spec.networks\[0\].pod.vmNetworkCIDR/,
      )
    },
  )

  test('tells the guest its name and where to look for others', () => {
    const { argv, degraded } = build(
      { dhcpOptions: { bootFileName: 'pxe.0', tftpServerName: 'tftp' } },
      {
        hostname: 'h',
        dnsPolicy: 'None',
        dnsConfig: { searches: ['example.org'], nameservers: ['192.0.2.1'] },
      },
    )
    expect(objectsOf(argv, '-netdev')[0]).toMatchObject({
      hostname: 'h',
      dnssearch: [{ str: 'example.org' }],
      bootfile: 'pxe.0',
      'tftp-server-name': 'tftp',
    })
    expect(degraded.map(({ field }) => field)).toEqual(['spec.dnsConfig.nameservers'])
  })

  test('is there where the spec says nothing of networks, unless it declines', () => {
    const none = { devices: { interfaces: [] }, spec: { networks: [] } }
    expect(deviceOf(buildArgv(makePlan(none)).argv, 'ua-default')).toMatchObject({ driver: 'virtio-net-pci' })
    const declined = makePlan({ ...none, devices: { interfaces: [], autoattachPodInterface: false } })
    expect(objectsOf(buildArgv(declined).argv, '-netdev')).toEqual([])
  })
})

describe('a card', () => {
  test.each([
    [undefined, 'virtio-net-pci'],
    ['virtio', 'virtio-net-pci'],
    ['e1000e', 'e1000e'],
    ['pcnet', 'pcnet'],
  ])('of model %s', (model, driver) => {
    expect(deviceOf(build(model === undefined ? {} : { model }).argv, 'ua-default')).toMatchObject({
      driver,
      netdev: 'hn-default',
    })
  })

  test('does not hold up the boot, unless it is to be booted from', () => {
    expect(deviceOf(build({}).argv, 'ua-default')).toMatchObject({ romfile: '', rombar: 0 })
    const device = deviceOf(build({ bootOrder: 3, acpiIndex: 9 }).argv, 'ua-default')
    expect(device).toMatchObject({ bootindex: 3, 'acpi-index': 9 })
    expect(device).not.toHaveProperty('romfile')
  })

  test('with its cable out is told of, and one that is absent is not there', () => {
    expect(build({ state: 'down' }).linksDown).toEqual(['ua-default'])
    expect(build({ state: 'up' }).linksDown).toEqual([])
    expect(deviceOf(build({ state: 'absent' }).argv, 'ua-default')).toEqual({})
  })

  test('igb needs QEMU 8', () => {
    expect(() => build({ model: 'igb' })).toThrow(/interfaces\[0\].model: igb needs QEMU 8.0/)
    const plan = makePlan({
      qemuVersion: { major: 8, minor: 0 },
      devices: { interfaces: [{ name: 'default', masquerade: {}, model: 'igb' }] },
    })
    expect(deviceOf(buildArgv(plan).argv, 'ua-default')).toMatchObject({ driver: 'igb', bus: 'rp3' })
  })

  test('has one queue, and that is said', () => {
    const plan = makePlan({ devices: { networkInterfaceMultiqueue: true }, domain: { cpu: { cores: 2 } } })
    expect(buildArgv(plan).degraded).toMatchObject([
      { field: 'spec.domain.devices.networkInterfaceMultiqueue' },
    ])
  })
})

describe('a hardware address', () => {
  const at = SPEC.child('x')

  test.each([
    ['02-00-00-AA-BB-CC', '02:00:00:aa:bb:cc'],
    ['0200.00aa.bbcc', '02:00:00:aa:bb:cc'],
    ['de:ad:00:00:be:af', 'de:ad:00:00:be:af'],
  ])('%s is written %s', (macAddress, mac) => {
    expect(macOf({ uid: 'u' }, { name: 'n', macAddress }, at)).toBe(mac)
  })

  test('of our own making is local, for one device, and stays', () => {
    const mac = macOf({ uid: 'u' }, { name: 'n' }, at)
    expect(mac).toMatch(/^02(:[0-9a-f]{2}){5}$/)
    expect(macOf({ uid: 'u' }, { name: 'n' }, at)).toBe(mac)
    expect(macOf({ uid: 'v' }, { name: 'n' }, at)).not.toBe(mac)
  })

  test.each(['01:00:5e:00:00:01', 'ff:ff:ff:ff:ff:ff', '02:00:00', '02:00-00:00:00:00', 'zz:00:00:00:00:00'])(
    '%s is refused',
    (macAddress) => {
      expect(() => macOf({ uid: 'u' }, { name: 'n', macAddress }, at)).toThrow(
        /spec.x.macAddress: .*such as 02:/,
      )
    },
  )
})

describe('a network of a bridge', () => {
  const iface = { name: 'lan', bridge: {}, macAddress: '02:00:00:00:00:07' }
  const buildOn = (
    more: Partial<InterfaceSpec> = {},
    taps = { lan: { device: 'vg0123456789abc', mtu: 9000 } },
  ) =>
    buildArgv({
      ...makePlan({
        devices: { interfaces: [{ ...iface, ...more }] },
        spec: { networks: [{ name: 'lan', multus: { networkName: 'lan' } }] },
      }),
      taps,
    })

  test('is a tap that is there already, and the guest is told what fits in a packet', () => {
    const { argv } = buildOn()
    expect(objectsOf(argv, '-netdev')).toEqual([
      { type: 'tap', id: 'hn-lan', ifname: 'vg0123456789abc', script: 'no', downscript: 'no' },
    ])
    expect(deviceOf(argv, 'ua-lan')).toMatchObject({ mac: iface.macAddress, host_mtu: 9000 })
  })

  test('has no host_mtu for cards that know none, and says so', () => {
    const { argv, degraded } = buildOn({ model: 'e1000' })
    expect(deviceOf(argv, 'ua-lan')).not.toHaveProperty('host_mtu')
    expect(degraded.map(({ message }) => message).join()).toContain('mtu of 9000')
  })

  test('needs its tap, and hands out no DHCP options', () => {
    expect(() => buildOn({}, {} as never)).toThrow(expect.objectContaining({ reason: 'HostResourceMissing' }))
    expect(() => buildOn({ dhcpOptions: { bootFileName: 'pxe' } })).toThrow(/dhcpOptions.bootFileName/)
  })
})

describe('what this node cannot do is refused', () => {
  test.each(['bridge', 'sriov', 'passtBinding', 'slirp', 'macvtap', 'passt'])('the binding %s', (binding) => {
    const interfaces = [{ name: 'default', [binding]: {} }]
    expect(() => buildArgv(makePlan({ devices: { interfaces } }))).toThrow(
      expect.objectContaining({
        reason: 'UnsupportedDevice',
        field: `spec.domain.devices.interfaces[0].${binding}`,
        message: expect.stringContaining('use masquerade: {}') as string,
      }),
    )
  })

  test.each<[RegExp, Partial<InterfaceSpec>, Partial<VmiSpec>]>([
    [/interfaces\[0\].binding: /, { binding: { name: 'plug' } }, {}],
    [
      /interfaces\[0\].masquerade: is for the pod network only: use bridge/,
      {},
      { networks: [{ name: 'default', multus: { networkName: 'n' } }] },
    ],
    [/interfaces\[0\].name: there is no network default/, {}, { networks: [] }],
    [
      /networks\[1\]: no interface is on the network/,
      {},
      {
        networks: [
          { name: 'default', pod: {} },
          { name: 'more', pod: {} },
        ],
      },
    ],
    [/interfaces\[0\].state: "sideways"/, { state: 'sideways' }, {}],
    [/interfaces\[0\].model: "ne3k" is none of virtio/, { model: 'ne3k' }, {}],
    [/interfaces\[0\].acpiIndex: 0 is no index/, { acpiIndex: 0 }, {}],
    [/dhcpOptions.ntpServers/, { dhcpOptions: { ntpServers: ['192.0.2.1'] } }, {}],
    [/dhcpOptions.privateOptions/, { dhcpOptions: { privateOptions: [{ option: 240, value: 'x' }] } }, {}],
    [/spec.hostname: .*no name for DNS/, {}, { hostname: 'a b' }],
  ])('%s', (message, iface, spec) => {
    expect(() => build(iface, spec)).toThrow(message)
  })
})

test('networks are counted from their first address', () => {
  const network = parseCidr('10.255.255.77/8')
  expect(
    network && [addressAt(network, 0), addressAt(network, 256), addressAt(network, 2 ** 24 - 1)],
  ).toEqual(['10.0.0.0', '10.0.1.0', '10.255.255.255'])
})
