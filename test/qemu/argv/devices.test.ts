import { describe, expect, test } from 'vitest'
import { buildArgv } from '../../../src/qemu/argv/index.ts'
import { makePlan, type PlanParts, rawDisk } from '../plans.ts'
import { deviceOf, firstParts, objectsOf, valuesOf } from './read.ts'

type Devices = NonNullable<PlanParts['devices']>

function build(devices: Devices, more: PlanParts = {}): string[] {
  return buildArgv(makePlan({ devices, ...more })).argv
}

describe('the display', () => {
  test.each([
    [undefined, 'VGA'],
    ['bochs', 'bochs-display'],
    ['virtio', 'virtio-vga'],
    ['ramfb', 'ramfb'],
    ['cirrus', 'cirrus-vga'],
  ])('of type %s is %s', (type, driver) => {
    expect(deviceOf(build(type === undefined ? {} : { video: { type } }), 'video0')).toMatchObject({ driver })
  })

  test('of an EFI guest is one its firmware knows', () => {
    const argv = build(
      {},
      {
        efi: { code: '/c', vars: '/v', secureBoot: false },
        domain: { firmware: { bootloader: { efi: { secureBoot: false } } } },
      },
    )
    expect(deviceOf(argv, 'video0')).toMatchObject({ driver: 'bochs-display' })
  })

  test('can be left out, with what belongs to it', () => {
    const argv = build({ autoattachGraphicsDevice: false })
    expect(valuesOf(argv, '-vnc')).toEqual([])
    expect([deviceOf(argv, 'video0'), deviceOf(argv, 'tablet0'), deviceOf(argv, 'usb')]).toEqual([{}, {}, {}])
    expect(() => build({ autoattachGraphicsDevice: false, video: { type: 'vga' } })).toThrow(
      /video: the guest has no display/,
    )
  })
})

describe('pointers', () => {
  test('there is one where there is a display', () => {
    expect(deviceOf(build({}), 'tablet0')).toEqual({ driver: 'usb-tablet', id: 'tablet0', bus: 'usb.0' })
    expect(deviceOf(build({ autoattachInputDevice: false }), 'tablet0')).toEqual({})
  })

  test('those of the spec are there instead', () => {
    const argv = build({ inputs: [{ name: 'pen', type: 'tablet', bus: 'virtio' }] })
    expect(deviceOf(argv, 'ua-pen')).toMatchObject({ driver: 'virtio-tablet-pci' })
    expect([deviceOf(argv, 'tablet0'), deviceOf(argv, 'usb')]).toEqual([{}, {}])
    expect(() => build({ inputs: [{ name: 'k', type: 'keyboard', bus: 'usb' }] })).toThrow(
      /inputs\[0\].type: "keyboard"/,
    )
  })
})

describe('the console', () => {
  test('can be left out, or be without a log', () => {
    expect(valuesOf(build({ autoattachSerialConsole: false }), '-chardev').join()).not.toContain('serial0')
    const argv = build({ logSerialConsole: false })
    expect(valuesOf(argv, '-chardev').find((text) => text.includes('serial0'))).not.toContain('logfile')
  })
})

describe('a watchdog', () => {
  test.each([
    [{}, 'reset'],
    [{ action: 'poweroff' }, 'poweroff'],
    [{ action: 'shutdown' }, 'shutdown'],
  ])('%j', (i6300esb, action) => {
    const argv = build({ watchdog: { name: 'dog', i6300esb } })
    expect(deviceOf(argv, 'ua-dog')).toMatchObject({ driver: 'i6300esb' })
    expect(firstParts(argv, '-action')).toEqual({ watchdog: action })
  })

  test('that this machine cannot have, or that does what none does, is refused', () => {
    expect(() => build({ watchdog: { name: 'dog', diag288: {} } })).toThrow(
      /watchdog.diag288: exists on s390x only/,
    )
    expect(() => build({ watchdog: { name: 'dog', i6300esb: { action: 'bark' } } })).toThrow(
      /i6300esb.action: "bark"/,
    )
  })
})

describe('panic devices', () => {
  test('stop the guest where it crashes', () => {
    const argv = build({ panicDevices: [{ model: 'isa' }, { model: 'pvpanic' }] })
    expect(deviceOf(argv, 'panic-isa')).toMatchObject({ driver: 'pvpanic' })
    expect(deviceOf(argv, 'panic-pci')).toMatchObject({ driver: 'pvpanic-pci' })
    expect(firstParts(argv, '-action')).toEqual({ panic: 'pause' })
  })

  test('of Hyper-V need KVM', () => {
    expect(
      valuesOf(build({ panicDevices: [{ model: 'hyperv' }] }, { accelerator: 'kvm' }), '-cpu')[0],
    ).toContain('hv-crash=on')
    expect(() => build({ panicDevices: [{ model: 'hyperv' }] })).toThrow(
      /panicDevices\[0\].model: hyperv needs KVM/,
    )
  })

  test('of the same kind cannot be two', () => {
    expect(() => build({ panicDevices: [{ model: 'isa' }, { model: 'isa' }] })).toThrow(
      /panicDevices\[1\]: another device/,
    )
  })
})

test('clients can bring four USB devices', () => {
  const argv = build({ clientPassthrough: {} })
  expect(objectsOf(argv, '-device').filter(({ driver }) => driver === 'usb-redir')).toHaveLength(4)
  expect(valuesOf(argv, '-chardev')).toContain(
    'socket,id=ur3,path=/run/virtgate/vm1/usbredir3.sock,server=on,wait=off',
  )
})

test.each([
  [undefined, 'ich9-intel-hda'],
  ['ac97', 'AC97'],
])('a sound card of model %s is %s', (model, driver) => {
  expect(
    deviceOf(build({ sound: { name: 'snd', ...(model !== undefined && { model }) } }), 'ua-snd'),
  ).toMatchObject({ driver, addr: '0x1b' })
})

test('the smaller virtio devices follow their switches', () => {
  const argv = build({ rng: {}, autoattachMemBalloon: false })
  expect(deviceOf(argv, 'rngdev0')).toMatchObject({ driver: 'virtio-rng-pci', rng: 'rng0' })
  expect(deviceOf(argv, 'balloon0')).toEqual({})
  expect(deviceOf(build({}), 'rngdev0')).toEqual({})
})

test('transitional devices are conventional ones', () => {
  const argv = build(
    { useVirtioTransitional: true, rng: {}, disks: [{ name: 'root', disk: { bus: 'virtio' } }] },
    { disks: [rawDisk('root')] },
  )
  for (const [id, kind] of [
    ['ua-root', 'blk'],
    ['ua-default', 'net'],
    ['scsi0', 'scsi'],
    ['vs0', 'serial'],
    ['rngdev0', 'rng'],
    ['balloon0', 'balloon'],
  ] as const) {
    expect(deviceOf(argv, id)).toMatchObject({ driver: `virtio-${kind}-pci-transitional`, bus: 'pci1' })
  }
})

describe('firmware', () => {
  const efi = (secureBoot: boolean | undefined, plan: PlanParts, features = {}): string[] =>
    build(
      {},
      {
        ...plan,
        domain: {
          features,
          firmware: { bootloader: { efi: secureBoot === undefined ? {} : { secureBoot } } },
        },
      },
    )

  test('EFI is two flash chips, of which the guest writes one', () => {
    const argv = efi(false, { efi: { code: '/c', vars: '/v', secureBoot: false } })
    expect(objectsOf(argv, '-blockdev')).toMatchObject([
      { 'node-name': 'pf0', 'read-only': true, file: { filename: '/c' } },
      { 'node-name': 'pf1', 'read-only': false, file: { filename: '/v' } },
    ])
    expect(firstParts(argv, '-machine')).toMatchObject({ pflash0: 'pf0', pflash1: 'pf1' })
    expect(valuesOf(argv, '-global')).toEqual([])
  })

  test('Secure Boot, which is the default, keeps its chips from all but the firmware', () => {
    const argv = efi(undefined, { efi: { code: '/c', vars: '/v', secureBoot: true } }, { smm: {} })
    expect(valuesOf(argv, '-global')).toContain('driver=cfi.pflash01,property=secure,value=on')
    expect(firstParts(argv, '-machine')).toMatchObject({ smm: 'on' })
  })

  test.each<[string, () => unknown, string]>([
    ['none on the node', () => efi(false, {}), 'HostResourceMissing'],
    [
      'none with keys on the node',
      () => efi(true, { efi: { code: '/c', vars: '/v', secureBoot: false } }),
      'HostResourceMissing',
    ],
    [
      'Secure Boot without SMM',
      () => efi(true, { efi: { code: '/c', vars: '/v', secureBoot: true } }, { smm: { enabled: false } }),
      'InvalidConfiguration',
    ],
    [
      'arguments without a kernel',
      () => build({}, { domain: { firmware: { kernelBoot: { kernelArgs: 'quiet' } } } }),
      'InvalidConfiguration',
    ],
  ])('%s is refused', (_what, run, reason) => {
    expect(run).toThrow(expect.objectContaining({ reason }))
  })

  test('a kernel from outside takes the arguments of the spec', () => {
    const argv = build(
      {},
      {
        kernelBoot: { kernel: '/k', initrd: '/i' },
        domain: {
          firmware: { kernelBoot: { container: { image: 'x' }, kernelArgs: 'console=ttyS0,115200' } },
        },
      },
    )
    expect([valuesOf(argv, '-kernel'), valuesOf(argv, '-initrd'), valuesOf(argv, '-append')]).toEqual([
      ['/k'],
      ['/i'],
      ['console=ttyS0,115200'],
    ])
  })

  test('a guest that starts paused shows its boot menu', () => {
    expect(valuesOf(build({}, { spec: { startStrategy: 'Paused' } }), '-boot')).toEqual([
      'strict=on,menu=on,splash-time=10000',
    ])
    expect(valuesOf(build({}), '-boot')).toEqual(['strict=on'])
  })
})

describe('SMBIOS', () => {
  test('tells who the guest is', () => {
    const domain = {
      firmware: { uuid: '5d307ca9-b3ef-428c-8861-06e72d69f223', serial: 's,1' },
      chassis: { sku: 'a,b' },
    }
    const argv = build({}, { domain })
    expect(valuesOf(argv, '-uuid')).toEqual(['5d307ca9-b3ef-428c-8861-06e72d69f223'])
    expect(valuesOf(argv, '-smbios')).toEqual([
      'type=1,manufacturer=KubeVirt,product=None,family=KubeVirt,uuid=5d307ca9-b3ef-428c-8861-06e72d69f223,serial=s,,1',
      'type=3,sku=a,,b',
    ])
  })

  test('falls back to the id of the object', () => {
    expect(valuesOf(build({}), '-uuid')).toEqual([makePlan().uid])
  })
})

describe('the clock', () => {
  const NOW = Date.UTC(2026, 6, 1, 12, 0, 0)
  const rtc = (clock: NonNullable<PlanParts['domain']>['clock']) => {
    const plan = makePlan({ domain: { ...(clock && { clock }) } })
    return firstParts(buildArgv(plan, NOW).argv, '-rtc')
  }

  test.each<[NonNullable<PlanParts['domain']>['clock'], Record<string, string>]>([
    [undefined, { base: 'utc', clock: 'host' }],
    [{ utc: {} }, { base: 'utc', clock: 'host' }],
    [{ utc: { offsetSeconds: -3600 } }, { base: '2026-07-01T11:00:00', clock: 'host' }],
    [{ timezone: 'Asia/Kathmandu' }, { base: '2026-07-01T17:45:00', clock: 'host' }],
    [
      { timer: { rtc: { tickPolicy: 'catchup', track: 'guest' } } },
      { base: 'utc', clock: 'vm', driftfix: 'slew' },
    ],
  ])('%j', (clock, parts) => {
    expect(rtc(clock)).toEqual(parts)
  })

  test.each<[NonNullable<PlanParts['domain']>['clock'], RegExp]>([
    [{ timezone: 'Moon/Base' }, /clock.timezone: "Moon\/Base" is no time zone/],
    [{ timer: { rtc: { present: false } } }, /timer.rtc.present: this machine always has/],
    [{ timer: { pit: { tickPolicy: 'merge' } } }, /timer.pit.tickPolicy: "merge" is none of/],
  ])('%j is refused', (clock, message) => {
    expect(() => rtc(clock)).toThrow(message)
  })

  test('timers that are off are off', () => {
    const timer = { hpet: { present: false }, pit: { present: false }, kvm: { present: false } }
    const argv = build({}, { domain: { clock: { timer } } })
    expect(firstParts(argv, '-machine')).toMatchObject({ hpet: 'off', pit: 'off' })
    expect(valuesOf(argv, '-cpu')[0]).toContain('kvmclock=off')
  })

  test('what only KVM can do is done there, and told of elsewhere', () => {
    const timer = { pit: { tickPolicy: 'discard' }, hyperv: {}, hpet: { tickPolicy: 'catchup' } }
    const argv = build({}, { accelerator: 'kvm', domain: { clock: { timer } } })
    expect(valuesOf(argv, '-global')).toEqual(['kvm-pit.lost_tick_policy=discard'])
    expect(valuesOf(argv, '-cpu')[0]).toContain('hv-time=on')
    const { degraded } = buildArgv(makePlan({ domain: { clock: { timer } } }))
    expect(degraded.map(({ field }) => field)).toEqual(
      ['hpet.tickPolicy', 'pit.tickPolicy', 'hyperv'].map((name) => `spec.domain.clock.timer.${name}`),
    )
  })
})
