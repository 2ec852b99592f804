import { expect, test } from 'vitest'
import { applyPreference } from '../../src/instancetype/apply-preference.ts'
import type { PreferenceSpec } from '../../src/kinds/instancetype.ts'
import type { VmiTemplate } from '../../src/kinds/kubevirt.ts'

/** What a spec becomes. A test hands in what a client may send: a spec without devices, too. */
function preferred(
  preference: PreferenceSpec,
  spec: object = {},
  annotations?: Record<string, string>,
): VmiTemplate {
  const template = {
    ...(annotations && { metadata: { annotations } }),
    spec: { domain: { devices: {} }, ...spec },
  } as VmiTemplate
  applyPreference(template, preference)
  return template
}
const domainOf = (preference: PreferenceSpec, domain: object = {}) =>
  preferred(preference, { domain: { devices: {}, ...domain } }).spec.domain
const devicesOf = (devices: PreferenceSpec['devices'], given: object = {}, spec: object = {}) =>
  preferred({ devices: devices ?? {} }, { domain: { devices: given }, ...spec }).spec.domain.devices

test('VM-PREF-001: CPU features are appended to those there are', () => {
  const cpu = { preferredCPUFeatures: [{ name: 'vmx', policy: 'optional' }, { name: 'x2apic' }] }
  expect(domainOf({ cpu }, { cpu: { features: [{ name: 'vmx', policy: 'require' }] } }).cpu).toEqual({
    features: [{ name: 'vmx', policy: 'require' }, { name: 'x2apic' }],
  })
  // Where KubeVirt's own server crashes: CRASH-007.
  expect(domainOf({ cpu }).cpu?.features).toHaveLength(2)
})

test.each<[string, PreferenceSpec['devices'], string]>([
  ['VM-PREF-002', { preferredUseVirtioTransitional: true }, 'useVirtioTransitional'],
  ['VM-PREF-002', { preferredBlockMultiQueue: true }, 'blockMultiQueue'],
  ['VM-PREF-002', { preferredNetworkInterfaceMultiQueue: true }, 'networkInterfaceMultiqueue'],
  ['VM-PREF-007', { preferredAutoattachGraphicsDevice: true }, 'autoattachGraphicsDevice'],
  ['VM-PREF-007', { preferredAutoattachMemBalloon: true }, 'autoattachMemBalloon'],
  ['VM-PREF-007', { preferredAutoattachPodInterface: true }, 'autoattachPodInterface'],
  ['VM-PREF-007', { preferredAutoattachSerialConsole: true }, 'autoattachSerialConsole'],
  ['VM-PREF-007', { preferredAutoattachInputDevice: true }, 'autoattachInputDevice'],
])('%s: a switch that the VM leaves open is set (%o)', (_id, preference, name) => {
  expect(devicesOf(preference)).toEqual({ [name]: true })
  expect(devicesOf(preference, { [name]: false })).toEqual({ [name]: false })
})

test('VM-PREF-003: of hot-plug the preference has the last word', () => {
  expect(devicesOf({ preferredDisableHotplug: false }, { disableHotplug: true })).toEqual({
    disableHotplug: false,
  })
})

test('VM-PREF-004 … 006: single devices', () => {
  const wanted = {
    preferredSoundModel: 'ac97',
    preferredRng: {},
    preferredTPM: {},
    preferredVideoType: 'vga',
  }
  expect(devicesOf(wanted, { sound: { name: 's' } })).toEqual({
    sound: { name: 's', model: 'ac97' },
    rng: {},
    tpm: {},
    video: { type: 'vga' },
  })
  const given = {
    sound: { name: 's', model: 'ich9' },
    tpm: { persistent: true },
    video: { type: 'virtio' },
    rng: {},
  }
  expect(devicesOf(wanted, given)).toEqual(given)
  expect(devicesOf({ preferredSoundModel: 'ac97' })).toEqual({})
})

test('VM-PREF-008: disks', () => {
  const wanted = {
    preferredDiskBus: 'virtio',
    preferredCdromBus: 'sata',
    preferredLunBus: 'scsi',
    preferredDiskCache: 'none',
    preferredDiskIO: 'native',
    preferredDiskBlockSize: { matchVolume: {} },
    preferredDiskDedicatedIoThread: true,
  }
  const disks = [
    { name: 'plain' },
    { name: 'chosen', disk: { bus: 'sata' }, cache: 'writeback', io: 'threads', blockSize: {} },
    { name: 'cd', cdrom: {} },
    { name: 'lun', lun: { bus: 'virtio' } },
  ]
  expect(devicesOf(wanted, { disks }).disks).toEqual([
    {
      name: 'plain',
      disk: { bus: 'virtio' },
      cache: 'none',
      io: 'native',
      blockSize: { matchVolume: {} },
      dedicatedIOThread: true,
    },
    { name: 'chosen', disk: { bus: 'sata' }, cache: 'writeback', io: 'threads', blockSize: {} },
    { name: 'cd', cdrom: { bus: 'sata' } },
    { name: 'lun', lun: { bus: 'virtio' } },
  ])
})

test('VM-PREF-009: interfaces get a model, and those on the pod network a binding', () => {
  const wanted = { preferredInterfaceModel: 'e1000', preferredInterfaceMasquerade: {} }
  const interfaces = [
    { name: 'pod' },
    { name: 'bridged', bridge: {}, model: 'virtio' },
    { name: 'multus' },
    { name: 'plugin', binding: { name: 'x' } },
  ]
  const networks = [
    { name: 'pod', pod: {} },
    { name: 'bridged', pod: {} },
    { name: 'multus', multus: { networkName: 'n' } },
    { name: 'plugin', pod: {} },
  ]
  expect(devicesOf(wanted, { interfaces }, { networks }).interfaces).toEqual([
    { name: 'pod', model: 'e1000', masquerade: {} },
    { name: 'bridged', bridge: {}, model: 'virtio' },
    { name: 'multus', model: 'e1000' },
    { name: 'plugin', binding: { name: 'x' }, model: 'e1000' },
  ])
})

test('VM-PREF-010: inputs get a bus and a type', () => {
  const wanted = { preferredInputBus: 'virtio', preferredInputType: 'tablet' }
  expect(
    devicesOf(wanted, { inputs: [{ name: 'a' }, { name: 'b', bus: 'usb', type: 'keyboard' }] }).inputs,
  ).toEqual([
    { name: 'a', bus: 'virtio', type: 'tablet' },
    { name: 'b', bus: 'usb', type: 'keyboard' },
  ])
  expect(devicesOf(wanted)).toEqual({})
})

test('VM-PREF-011: there is a panic device, of the preferred model where none is named', () => {
  const wanted = { preferredPanicDeviceModel: 'hyperv' }
  expect(devicesOf(wanted).panicDevices).toEqual([{ model: 'hyperv' }])
  expect(devicesOf(wanted, { panicDevices: [{}, { model: 'isa' }] }).panicDevices).toEqual([
    { model: 'hyperv' },
    { model: 'isa' },
  ])
})

test('VM-PREF-012: features, with the last word on ACPI, and Hyper-V one by one', () => {
  const features = {
    preferredAcpi: { enabled: false },
    preferredApic: {},
    preferredKvm: { hidden: true },
    preferredPvspinlock: {},
    preferredSmm: {},
    preferredHyperv: { vpindex: {}, relaxed: {} },
  }
  const given = { acpi: { enabled: true }, smm: { enabled: false }, hyperv: { relaxed: { enabled: false } } }
  expect(domainOf({ features }, { features: given }).features).toEqual({
    acpi: { enabled: false },
    apic: {},
    kvm: { hidden: true },
    pvspinlock: {},
    smm: { enabled: false },
    hyperv: { vpindex: {}, relaxed: { enabled: false } },
  })
  expect(domainOf({ features: { preferredHyperv: {} } }).features).toEqual({ hyperv: {} })
})

test.each<[string, PreferenceSpec['firmware'], object | undefined, object]>([
  ['nothing', {}, undefined, {}],
  ['BIOS', { preferredUseBios: true }, undefined, { bios: {} }],
  ['BIOS, not beside EFI', { preferredUseBios: true }, { efi: {} }, { efi: {} }],
  [
    'serial output',
    { preferredUseBios: true, preferredUseBiosSerial: true },
    undefined,
    { bios: { useSerial: true } },
  ],
  [
    'serial output that the VM decided',
    { preferredUseBiosSerial: true },
    { bios: { useSerial: false } },
    { bios: { useSerial: false } },
  ],
  [
    'EFI as written, and nothing after it',
    { preferredEfi: { persistent: true }, preferredUseEfi: true, preferredUseSecureBoot: true },
    undefined,
    { efi: { persistent: true } },
  ],
  ['EFI', { preferredUseEfi: true }, undefined, { efi: {} }],
  ['EFI, not beside BIOS', { preferredUseEfi: true }, { bios: {} }, { bios: {} }],
  [
    'secure boot',
    { preferredUseEfi: true, preferredUseSecureBoot: true },
    undefined,
    { efi: { secureBoot: true } },
  ],
  [
    'secure boot that the VM decided',
    { preferredUseSecureBoot: true },
    { efi: { secureBoot: false } },
    { efi: { secureBoot: false } },
  ],
])('VM-PREF-013: firmware prefers %s', (_name, firmware, given, bootloader) => {
  const domain = given && { firmware: { bootloader: given } }
  expect(domainOf({ firmware: firmware ?? {} }, domain).firmware).toEqual({ bootloader })
})

test('VM-PREF-014, 016, 017, 019: what is not set is set', () => {
  const preference: PreferenceSpec = {
    machine: { preferredMachineType: 'pc-q35-7.2' },
    preferredSubdomain: 'sub',
    preferredTerminationGracePeriodSeconds: 0,
    preferredArchitecture: 'arm64',
    preferredLaunchSecurity: { sev: {} },
  }
  expect(preferred(preference).spec).toEqual({
    domain: { devices: {}, machine: { type: 'pc-q35-7.2' }, launchSecurity: { sev: {} } },
    subdomain: 'sub',
    terminationGracePeriodSeconds: 0,
    architecture: 'arm64',
  })
  const given = {
    domain: { devices: {}, machine: { type: 'q35' }, launchSecurity: { snp: {} } },
    subdomain: 'mine',
    terminationGracePeriodSeconds: 30,
    architecture: 'amd64',
  }
  expect(preferred(preference, given).spec).toEqual(given)
})

test('VM-PREF-015: the clock', () => {
  const clock = { preferredClockOffset: { utc: {} }, preferredTimer: { hpet: { present: false } } }
  expect(domainOf({ clock }).clock).toEqual({ utc: {}, timer: { hpet: { present: false } } })
  const given = { timezone: 'Europe/Berlin', timer: {} }
  expect(domainOf({ clock }, { clock: given }).clock).toEqual(given)
  expect(domainOf({ clock: {} }).clock).toEqual({})
})

test('VM-PREF-018: annotations that are missing are added', () => {
  expect(preferred({ annotations: { a: '1', b: '2' } }, {}, { b: '3' }).metadata?.annotations).toEqual({
    a: '1',
    b: '3',
  })
})

test('a preference that says nothing changes nothing, and none is changed', () => {
  expect(preferred({})).toEqual({ spec: { domain: { devices: {} } } })
  const preference: PreferenceSpec = { devices: { preferredDiskBlockSize: { matchVolume: {} } } }
  const { disks } = preferred(preference, { domain: { devices: { disks: [{ name: 'a' }] } } }).spec.domain
    .devices
  Object.assign(disks?.[0]?.blockSize?.matchVolume ?? {}, { enabled: true })
  expect(preference).toEqual({ devices: { preferredDiskBlockSize: { matchVolume: {} } } })
})
