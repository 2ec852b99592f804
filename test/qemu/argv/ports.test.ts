import { describe, expect, test } from 'vitest'
import { buildArgv } from '../../../src/qemu/argv/index.ts'
import { makePlan, type PlanParts, rawDisk } from '../plans.ts'
import { deviceOf, objectsOf } from './read.ts'

function withDisks(names: string[], more: PlanParts = {}) {
  return buildArgv(
    makePlan({
      disks: names.map((name) => rawDisk(name)),
      ...more,
      devices: { disks: names.map((name) => ({ name, disk: { bus: 'virtio' } })), ...more.devices },
    }),
  )
}

function portsOf(argv: string[]): string[] {
  return objectsOf(argv, '-device')
    .filter(({ driver }) => driver === 'pcie-root-port')
    .map(({ id }) => String(id))
}

describe('slots', () => {
  test('are one to a device, and the device is where they say', () => {
    const { argv, slots } = withDisks(['a', 'b'])
    expect(new Set(Object.values(slots)).size).toBe(Object.keys(slots).length)
    for (const [id, slot] of Object.entries(slots)) expect(deviceOf(argv, id)).toMatchObject({ bus: slot })
  })

  test('stay when a device comes before, and when one goes', () => {
    const first = withDisks(['a', 'b', 'c']).slots
    const second = withDisks(['x', 'a', 'c'], { slots: first }).slots
    expect(second).toMatchObject({
      'ua-a': first['ua-a'],
      'ua-c': first['ua-c'],
      'ua-default': first['ua-default'],
    })
    expect(second).not.toHaveProperty('ua-b')
    expect(Object.values(first)).not.toContain(second['ua-x'])
  })

  test('the same in, the same out', () => {
    const { slots, argv } = withDisks(['a', 'b'])
    expect(withDisks(['a', 'b'], { slots })).toEqual({ slots, argv, linksDown: [], degraded: [] })
  })

  test('that nothing can be plugged into are given anew', () => {
    expect(withDisks(['a'], { slots: { 'ua-a': 'rp999', usb: 'nonsense' } }).slots).toMatchObject({
      usb: 'rp0',
      'ua-a': 'rp2',
    })
  })

  test('conventional devices share a bridge, which has a port', () => {
    const { argv, slots } = buildArgv(
      makePlan({ devices: { interfaces: [{ name: 'default', masquerade: {}, model: 'rtl8139' }] } }),
    )
    expect(deviceOf(argv, 'ua-default')).toMatchObject({ driver: 'rtl8139', bus: 'pci1', addr: '0x1' })
    expect(slots['ua-default']).toBe('pci1:0x1')
    expect(deviceOf(argv, 'pci1')).toMatchObject({ driver: 'pcie-pci-bridge', bus: slots.pci1 })
  })

  test('a device that changed its kind gets a slot of the other kind', () => {
    const interfaces = [{ name: 'default', masquerade: {}, model: 'e1000' }]
    const { slots } = buildArgv(makePlan({ slots: { 'ua-default': 'rp4' }, devices: { interfaces } }))
    expect(slots['ua-default']).toBe('pci1:0x1')
  })
})

describe('root ports', () => {
  test.each<[string, string, number]>([
    ['a small guest', '1Gi', 3],
    ['a larger one', '4Gi', 10],
  ])('are to spare: %s', (_what, guest, spare) => {
    const { argv, slots } = withDisks(['a'], { domain: { memory: { guest } } })
    expect(portsOf(argv).length - Object.keys(slots).length).toBe(spare)
  })

  test('are there before what is plugged into them, eight to a slot', () => {
    const { argv } = withDisks(Array.from({ length: 10 }, (_, index) => `d${index}`))
    const devices = objectsOf(argv, '-device')
    const lastPort = devices.findLastIndex(({ driver }) => driver === 'pcie-root-port')
    const firstUser = devices.findIndex(({ bus }) => String(bus).startsWith('rp'))
    expect(lastPort).toBeLessThan(firstUser)
    expect(deviceOf(argv, 'rp7')).toMatchObject({ addr: '0x2.0x7', chassis: 8 })
    expect(deviceOf(argv, 'rp8')).toMatchObject({ addr: '0x3.0x0', chassis: 9, multifunction: true })
  })

  test('are not to spare where nothing is plugged in later', () => {
    const { argv, slots } = withDisks(['a'], { devices: { disableHotplug: true } })
    expect(portsOf(argv)).toHaveLength(Object.keys(slots).length)
    expect(slots).not.toHaveProperty('scsi0')
  })

  test('end somewhere', () => {
    const names = Array.from({ length: 120 }, (_, index) => `d${index}`)
    expect(() => withDisks(names)).toThrow(/no slot is left on the PCI bus/)
  })
})

describe('an address that the spec names', () => {
  const at = (pciAddress: string, slots = {}) =>
    withDisks(['a', 'b'], {
      slots,
      devices: {
        disks: [
          { name: 'a', disk: { bus: 'virtio' } },
          { name: 'b', disk: { bus: 'virtio', pciAddress } },
        ],
      },
    })

  test.each([
    ['0000:01:00.0', { bus: 'rp0' }],
    ['0000:0A:00.0', { bus: 'rp9' }],
    ['0000:00:10.0', { bus: 'pcie.0', addr: '0x10' }],
  ])('%s is where the device sits', (address, place) => {
    const { argv, slots } = at(address)
    expect(deviceOf(argv, 'ua-b')).toMatchObject(place)
    expect(deviceOf(argv, 'ua-a')).toMatchObject({ bus: slots['ua-a'] })
  })

  test('wins over who sat there before', () => {
    const { slots } = at('0000:04:00.0', { 'ua-a': 'rp3' })
    expect(slots['ua-b']).toBe('rp3')
    expect(slots['ua-a']).not.toBe('rp3')
  })

  test.each([
    '0000:00:02.0',
    '0000:00:1f.0',
    '0001:01:00.0',
    '0000:01:00.1',
    '0000:01:01.0',
    '0000:71:00.0',
    'x',
  ])('%s is nowhere, and refused', (address) => {
    expect(() => at(address)).toThrow(/disks\[1\].disk.pciAddress: no device can sit at/)
  })

  test('of two devices cannot be the same', () => {
    const interfaces = [{ name: 'default', masquerade: {}, pciAddress: '0000:03:00.0' }]
    const disks = [{ name: 'a', disk: { bus: 'virtio', pciAddress: '0000:03:00.0' } }]
    expect(() => withDisks(['a'], { devices: { disks, interfaces } })).toThrow(
      /interfaces\[0\].pciAddress: another device sits/,
    )
  })

  test('of a conventional device is on the root bus', () => {
    const build = (pciAddress: string) =>
      buildArgv(
        makePlan({
          devices: { interfaces: [{ name: 'default', masquerade: {}, model: 'e1000', pciAddress }] },
        }),
      ).argv
    expect(deviceOf(build('0000:00:11.0'), 'ua-default')).toMatchObject({ bus: 'pcie.0', addr: '0x11' })
    expect(() => build('0000:01:00.0')).toThrow(/interfaces\[0\].*pciAddress: a conventional PCI device/)
  })
})
