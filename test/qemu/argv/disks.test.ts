import { describe, expect, test } from 'vitest'
import { buildArgv, nodeNamesOf } from '../../../src/qemu/argv/index.ts'
import type { DiskSpec } from '../../../src/qemu/argv/spec.ts'
import type { DiskFile } from '../../../src/qemu/plan.ts'
import { makePlan, type PlanParts, rawDisk } from '../plans.ts'
import { deviceOf, objectsOf } from './read.ts'

/** A guest with one disk called `root`. */
function withDisk(
  disk: Omit<DiskSpec, 'name'>,
  file: Partial<DiskFile> = {},
  more: PlanParts = {},
): string[] {
  return buildArgv(
    makePlan({
      disks: [rawDisk('root', '/disks/root.img', file)],
      ...more,
      devices: { disks: [{ name: 'root', ...disk }], ...more.devices },
    }),
  ).argv
}

function nodeOf(argv: string[]): Record<string, unknown> {
  return objectsOf(argv, '-blockdev')[0] ?? {}
}

describe('names of block nodes', () => {
  test('are short, legal and the same everywhere', () => {
    const names = nodeNamesOf('a-volume-with-a-name-of-63-characters-which-is-all-it-can-have-x')
    for (const name of Object.values(names)) {
      expect(name).toMatch(/^[a-z][a-z0-9-]*$/)
      expect(name.length).toBeLessThanOrEqual(31)
    }
    expect(nodeNamesOf('root')).toEqual({
      format: 'v4813494d-fmt',
      file: 'v4813494d-file',
      backingFormat: 'v4813494d-bfmt',
      backingFile: 'v4813494d-bfile',
    })
  })
})

describe('the device of a disk', () => {
  test.each([
    ['virtio', { disk: { bus: 'virtio' } }, { driver: 'virtio-blk-pci', bus: 'rp2' }],
    ['sata', { disk: { bus: 'sata' } }, { driver: 'ide-hd', bus: 'ide.0' }],
    ['none that it says', {}, { driver: 'ide-hd', bus: 'ide.0' }],
    [
      'scsi',
      { disk: { bus: 'scsi' } },
      { driver: 'scsi-hd', bus: 'scsi0.0', lun: 0, device_id: 'drive-ua-root' },
    ],
    ['usb', { disk: { bus: 'usb' } }, { driver: 'usb-storage', bus: 'usb.0', removable: false }],
    ['sata, as a CD-ROM', { cdrom: {} }, { driver: 'ide-cd', bus: 'ide.0' }],
    ['scsi, as a CD-ROM', { cdrom: { bus: 'scsi' } }, { driver: 'scsi-cd', bus: 'scsi0.0' }],
  ])('on the bus %s', (_bus, disk, device) => {
    expect(deviceOf(withDisk(disk), 'ua-root')).toMatchObject({
      ...device,
      drive: 'v4813494d-fmt',
      bootindex: 1,
    })
  })

  test('a LUN is a block device of the host', () => {
    const argv = withDisk({ lun: { bus: 'scsi' } }, { file: '/dev/sdx', blockDevice: true })
    expect(deviceOf(argv, 'ua-root')).toMatchObject({ driver: 'scsi-block', bus: 'scsi0.0' })
    expect(nodeOf(argv).file).toMatchObject({ driver: 'host_device', filename: '/dev/sdx' })
  })

  test('the seventh SATA disk gets a controller of its own', () => {
    const names = Array.from({ length: 7 }, (_, index) => `d${index}`)
    const plan = makePlan({
      disks: names.map((name) => rawDisk(name)),
      devices: { disks: names.map((name) => ({ name, disk: {} })) },
    })
    const { argv } = buildArgv(plan)
    expect(deviceOf(argv, 'ua-d5')).toMatchObject({ bus: 'ide.5' })
    expect(deviceOf(argv, 'ua-d6')).toMatchObject({ bus: 'ahci1.0' })
    expect(deviceOf(argv, 'ahci1')).toMatchObject({ driver: 'ich9-ahci', addr: '0x1d.0x0' })
  })

  test('carries the serial, the policy on errors, the block sizes and the queues', () => {
    const argv = withDisk(
      {
        disk: { bus: 'virtio' },
        serial: 'S1',
        errorPolicy: 'enospace',
        blockSize: { custom: { logical: 512, physical: 4096, discardGranularity: 4096 } },
      },
      {},
      { devices: { blockMultiQueue: true }, domain: { cpu: { cores: 3 } } },
    )
    expect(deviceOf(argv, 'ua-root')).toMatchObject({
      serial: 'S1',
      werror: 'enospc',
      rerror: 'report',
      logical_block_size: 512,
      physical_block_size: 4096,
      discard_granularity: 4096,
      'num-queues': 3,
    })
  })

  test('can have the block sizes of its volume', () => {
    const blockSize = { logical: 4096, physical: 4096 }
    const argv = withDisk({ disk: {}, blockSize: { matchVolume: {} } }, { blockSize })
    expect(deviceOf(argv, 'ua-root')).toMatchObject({ logical_block_size: 4096, physical_block_size: 4096 })
  })
})

describe('the block nodes of a disk', () => {
  test('state every format, and that there is nothing behind a qcow2 that names nothing', () => {
    expect(nodeOf(withDisk({ disk: { bus: 'virtio' } }, { format: 'qcow2', file: '/d/a,b.qcow2' }))).toEqual({
      driver: 'qcow2',
      'node-name': 'v4813494d-fmt',
      'read-only': false,
      discard: 'unmap',
      cache: { direct: false, 'no-flush': false },
      file: {
        driver: 'file',
        'node-name': 'v4813494d-file',
        filename: '/d/a,b.qcow2',
        'read-only': false,
        aio: 'threads',
        discard: 'unmap',
        cache: { direct: false, 'no-flush': false },
      },
      backing: null,
    })
  })

  test('open a base read-only, with its own format and nothing behind it', () => {
    const argv = withDisk(
      { disk: {} },
      { format: 'qcow2', backing: { file: '/cache/base', format: 'qcow2' } },
    )
    expect(nodeOf(argv).backing).toMatchObject({
      driver: 'qcow2',
      'node-name': 'v4813494d-bfmt',
      'read-only': true,
      backing: null,
      file: { filename: '/cache/base', 'read-only': true },
    })
  })

  test.each<[string, DiskSpec['cache'], boolean | undefined, object]>([
    ['past the cache where that works', undefined, true, { direct: true, 'write-cache': 'on' }],
    [
      'through the cache, each write, where it does not',
      undefined,
      false,
      { direct: false, 'write-cache': 'off' },
    ],
    [
      'through the cache, each write, where nobody knows',
      undefined,
      undefined,
      { direct: false, 'write-cache': 'off' },
    ],
    ['as asked: none', 'none', undefined, { direct: true, 'write-cache': 'on' }],
    ['as asked: writethrough', 'writethrough', true, { direct: false, 'write-cache': 'off' }],
    ['as asked: writeback', 'writeback', true, { direct: false, 'write-cache': 'on' }],
  ])('are written %s', (_what, cache, directIo, { direct, ...device }: { direct?: boolean }) => {
    const argv = withDisk({ disk: {}, ...(cache && { cache }) }, directIo === undefined ? {} : { directIo })
    expect(nodeOf(argv)).toMatchObject({ cache: { direct }, file: { cache: { direct } } })
    expect(deviceOf(argv, 'ua-root')).toMatchObject(device)
  })

  test('of a disk that guests share are never cached nor locked', () => {
    const argv = withDisk({ disk: { bus: 'scsi' }, shareable: true })
    expect(nodeOf(argv)).toMatchObject({ cache: { direct: true }, file: { locking: 'off' } })
    expect(deviceOf(argv, 'ua-root')).toMatchObject({ 'share-rw': true })
  })

  test.each([
    ['the spec says so', { disk: { bus: 'virtio', readonly: true } }, {}],
    ['the volume is', { disk: { bus: 'virtio' } }, { readOnly: true }],
    ['it is a CD-ROM', { cdrom: {} }, {}],
  ])('are read-only where %s', (_what, disk, file) => {
    expect(nodeOf(withDisk(disk, file))).toMatchObject({ 'read-only': true, file: { 'read-only': true } })
  })
})

describe('I/O threads', () => {
  const three = ['a', 'b', 'c']
  const build = (policy: string | undefined, dedicated: string[], major = 7) =>
    buildArgv(
      makePlan({
        qemuVersion: { major, minor: 2 },
        disks: three.map((name) => rawDisk(name)),
        devices: {
          disks: three.map((name) => ({
            name,
            disk: { bus: 'virtio' },
            ...(dedicated.includes(name) && { dedicatedIOThread: true }),
          })),
        },
        domain: {
          ...(policy !== undefined && { ioThreadsPolicy: policy }),
          ioThreads: { supplementalPoolThreadCount: 2 },
        },
      }),
    ).argv
  const threads = (argv: string[]) => three.map((name) => deviceOf(argv, `ua-${name}`).iothread)

  test.each<[string, string | undefined, string[], unknown[]]>([
    ['none without a policy', undefined, [], [undefined, undefined, undefined]],
    ['one for all', 'shared', [], ['iot1', 'iot1', 'iot1']],
    ['one for itself, one for the others', undefined, ['b'], ['iot1', 'iot2', 'iot1']],
    ['two for each CPU, in turn', 'auto', [], ['iot1', 'iot2', 'iot1']],
  ])('%s', (_what, policy, dedicated, expected) => {
    expect(threads(build(policy, dedicated))).toEqual(expected)
  })

  test('a pool for every disk needs QEMU 9', () => {
    const pool = [{ iothread: 'iot1' }, { iothread: 'iot2' }]
    expect(deviceOf(build('supplementalPool', [], 9), 'ua-a')).toMatchObject({ 'iothread-vq-mapping': pool })
    expect(() => build('supplementalPool', [])).toThrow(/ioThreadsPolicy: supplementalPool needs QEMU 9.0/)
  })
})

describe('the order of booting', () => {
  const build = (orders: (number | undefined)[]) => {
    const names = orders.map((_, index) => `d${index}`)
    const { argv } = buildArgv(
      makePlan({
        disks: names.map((name) => rawDisk(name)),
        devices: {
          disks: orders.map((bootOrder, index) => ({
            name: `d${index}`,
            disk: {},
            ...(bootOrder !== undefined && { bootOrder }),
          })),
        },
      }),
    )
    return names.map((name) => deviceOf(argv, `ua-${name}`).bootindex)
  }

  test('is that of the spec where nothing says otherwise', () => {
    expect(build([undefined, undefined])).toEqual([1, 2])
  })

  test('leaves out what has none where something has one', () => {
    expect(build([undefined, 7])).toEqual([undefined, 7])
  })

  test.each([
    [[1, 1], /disks\[1\].bootOrder: another device has boot order 1/],
    [[0], /disks\[0\].bootOrder: 0 is no boot order/],
  ])('%j is refused', (orders, message) => {
    expect(() => build(orders)).toThrow(message)
  })
})

describe('a disk that was added to the guest while it ran elsewhere', () => {
  const build = (orders: (number | undefined)[], plugged: string[]) =>
    buildArgv({
      ...makePlan({
        disks: orders.map((_, index) => rawDisk(`d${index}`)),
        devices: {
          blockMultiQueue: true,
          disks: orders.map((bootOrder, index) => ({
            name: `d${index}`,
            disk: { bus: 'virtio' },
            ...(bootOrder !== undefined && { bootOrder }),
          })),
        },
      }),
      plugged,
    }).argv

  test('has no boot index, and takes none from those that the guest was started with', () => {
    const argv = build([undefined, undefined, undefined], ['ua-d0'])
    expect(['ua-d0', 'ua-d1', 'ua-d2'].map((id) => deviceOf(argv, id).bootindex)).toEqual([undefined, 1, 2])
  })

  test('keeps the boot order of its own, which does not take away that of the others', () => {
    const argv = build([undefined, 5], ['ua-d1'])
    expect(['ua-d0', 'ua-d1'].map((id) => deviceOf(argv, id).bootindex)).toEqual([1, 5])
  })

  test('has as many queues as QEMU gave it', () => {
    const argv = build([undefined, undefined], ['ua-d1'])
    expect(deviceOf(argv, 'ua-d0')).toHaveProperty('num-queues')
    expect(deviceOf(argv, 'ua-d1')).not.toHaveProperty('num-queues')
  })
})

describe('what does not go together is refused', () => {
  test.each<[string, string, Omit<DiskSpec, 'name'>, Partial<DiskFile>]>([
    ['InvalidConfiguration', 'disks[0]: is disk and cdrom at once', { disk: {}, cdrom: {} }, {}],
    [
      'UnsupportedDevice',
      'disks[0].cdrom.bus: there is no cdrom on the bus virtio',
      { cdrom: { bus: 'virtio' } },
      {},
    ],
    [
      'InvalidConfiguration',
      'disks[0].disk.bus: "nvme" is none of virtio, sata, scsi, usb',
      { disk: { bus: 'nvme' } },
      {},
    ],
    [
      'UnsupportedDevice',
      'disks[0].cdrom.tray: a drive starts with its tray closed',
      { cdrom: { tray: 'open' } },
      {},
    ],
    [
      'UnsupportedDevice',
      'disks[0].lun: a lun hands SCSI commands to a block device',
      { lun: { bus: 'scsi' } },
      {},
    ],
    [
      'HostResourceMissing',
      'disks[0].lun.reservation: this node has no helper',
      { lun: { reservation: true } },
      { blockDevice: true },
    ],
    [
      'UnsupportedDevice',
      'disks[0]: a disk on the bus sata cannot be read-only',
      { disk: { readonly: true } },
      {},
    ],
    [
      'HostResourceMissing',
      'disks[0].cache: the file system of the volume',
      { disk: {}, cache: 'none' },
      { directIo: false },
    ],
    [
      'InvalidConfiguration',
      'disks[0].io: native needs cache: none',
      { disk: {}, io: 'native', cache: 'writeback' },
      {},
    ],
    [
      'InvalidConfiguration',
      'disks[0].cache: a shareable disk is never cached',
      { disk: {}, shareable: true, cache: 'writeback' },
      {},
    ],
    [
      'InvalidConfiguration',
      'disks[0].shareable: a qcow2 image breaks',
      { disk: {}, shareable: true },
      { format: 'qcow2' },
    ],
    [
      'UnsupportedDevice',
      'disks[0].dedicatedIOThread: only a virtio disk',
      { disk: {}, dedicatedIOThread: true },
      {},
    ],
    [
      'InvalidConfiguration',
      'disks[0].disk.pciAddress: only a virtio disk',
      { disk: { pciAddress: '0000:01:00.0' } },
      {},
    ],
    [
      'InvalidConfiguration',
      'disks[0].blockSize.custom.logical: 1000 is no block size',
      { disk: {}, blockSize: { custom: { logical: 1000, physical: 4096 } } },
      {},
    ],
    [
      'InvalidConfiguration',
      'disks[0].blockSize.custom: logical blocks are larger',
      { disk: {}, blockSize: { custom: { logical: 4096, physical: 512 } } },
      {},
    ],
    [
      'UnsupportedDevice',
      'disks[0].blockSize.matchVolume: the block size of this volume',
      { disk: {}, blockSize: { matchVolume: {} } },
      {},
    ],
    ['InvalidConfiguration', 'disks[0].serial: has control characters', { disk: {}, serial: 'a\nb' }, {}],
  ])('%s: %s', (reason, message, disk, file) => {
    expect(() => withDisk(disk, file)).toThrow(
      expect.objectContaining({
        reason,
        message: expect.stringContaining(`spec.domain.devices.${message}`) as string,
      }),
    )
  })

  test('a disk without a volume, and a volume without a disk', () => {
    expect(() => buildArgv(makePlan({ devices: { disks: [{ name: 'a', disk: {} }] } }))).toThrow(
      /disks\[0\].name: there is no volume a/,
    )
    expect(() => buildArgv(makePlan({ disks: [rawDisk('a')] }))).toThrow(
      /spec.volumes\[0\]: no disk uses the volume a/,
    )
  })

  test('an empty CD-ROM drive is fine', () => {
    const { argv } = buildArgv(makePlan({ devices: { disks: [{ name: 'cd', cdrom: {} }] } }))
    expect(deviceOf(argv, 'ua-cd')).not.toHaveProperty('drive')
  })

  test('a disk and an interface of the same name', () => {
    const plan = makePlan({
      disks: [rawDisk('default')],
      devices: { disks: [{ name: 'default', disk: {} }] },
    })
    expect(() => buildArgv(plan)).toThrow(/interfaces\[0\].*another device is called ua-default/)
  })
})
