import { assert, constantFrom, property, string, stringMatching } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { buildArgv, GuestConfigError } from '../../../src/qemu/argv/index.ts'
import { makePlan, rawDisk } from '../plans.ts'
import { deviceOf, firstParts, objectsOf, valuesOf } from './read.ts'

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5)

describe('every guest', () => {
  const { argv } = buildArgv(makePlan(), NOW)

  test('is started with nothing of QEMU’s choice, stopped, and stays for us to see when it powers off', () => {
    expect(argv).toEqual(expect.arrayContaining(['-nodefaults', '-no-user-config', '-no-shutdown', '-S']))
  })

  test('has the sandbox on, with all denied', () => {
    expect(firstParts(argv, '-sandbox')).toEqual({
      on: '',
      obsolete: 'deny',
      elevateprivileges: 'deny',
      spawn: 'deny',
      resourcecontrol: 'deny',
    })
  })

  test('has two monitors, a console, a display and a place for an agent, each at its socket', () => {
    const sockets = valuesOf(argv, '-chardev').map((text) => /path=([^,]*)/.exec(text)?.[1])
    expect(sockets).toEqual(
      ['qmp.sock', 'qmp-aux.sock', 'serial0.sock', 'qga.sock'].map((name) => `/run/virtgate/vm1/${name}`),
    )
    expect(valuesOf(argv, '-mon')).toEqual(['chardev=mon0,mode=control', 'chardev=mon1,mode=control'])
    expect(valuesOf(argv, '-vnc')).toEqual(['vnc=unix:/run/virtgate/vm1/vnc.sock,share=force-shared'])
    expect(deviceOf(argv, 'channel0')).toMatchObject({ chardev: 'qga0', name: 'org.qemu.guest_agent.0' })
  })

  test('keeps what its console prints', () => {
    const console = valuesOf(argv, '-chardev').find((text) => text.includes('serial0.sock'))
    expect(console).toContain('logfile=/var/lib/virtgate/vm1/serial0.log,logappend=on')
  })

  test('has memory that helpers can share', () => {
    expect(objectsOf(argv, '-object')[0]).toEqual({
      'qom-type': 'memory-backend-memfd',
      id: 'ram0',
      // Emulated: see ODD_BYTES.
      size: 64 * 1024 ** 2 + 8192,
      share: true,
    })
    expect(firstParts(argv, '-machine')).toMatchObject({
      'pc-q35-7.2': '',
      accel: 'tcg',
      'memory-backend': 'ram0',
    })
  })

  test('is the same for the same plan', () => {
    expect(buildArgv(makePlan(), NOW).argv).toEqual(argv)
  })
})

test.each([
  [
    'a socket path beyond 107 bytes',
    { paths: { runDir: `/${'x'.repeat(100)}`, stateDir: '/s' } },
    /longer than 107 bytes/,
  ],
  ['a machine that is not q35', { machineType: 'pc-i440fx-7.2' }, /spec.domain.machine.type: .*use q35/],
  ['another architecture', { spec: { architecture: 'arm64' } }, /spec.architecture: .*amd64 only/],
  ['a device the binary lacks', { deviceTypes: ['VGA'] }, /QEMU has no device pcie-root-port|has no device/],
])('%s is refused', (_what, parts, message) => {
  expect(() => buildArgv(makePlan(parts))).toThrow(message)
})

test('the machine’s own switches follow the spec', () => {
  const plan = makePlan({
    domain: {
      rebootPolicy: 'Terminate',
      features: { acpi: { enabled: false }, smm: { enabled: false } },
      firmware: { bootloader: { bios: { useSerial: true } } },
    },
  })
  const { argv } = buildArgv(plan)
  expect(firstParts(argv, '-machine')).toMatchObject({ acpi: 'off', smm: 'off', graphics: 'off' })
  expect(firstParts(argv, '-action')).toEqual({ reboot: 'shutdown' })
})

/** Texts of a spec that stand in arguments, and how each gets there. */
const TEXTS: Record<string, (text: string) => Parameters<typeof makePlan>[0]> = {
  'firmware.serial': (serial) => ({ domain: { firmware: { serial } } }),
  'firmware.uuid': (uuid) => ({ domain: { firmware: { uuid } } }),
  'chassis.asset': (asset) => ({ domain: { chassis: { asset } } }),
  'kernelBoot.kernelArgs': (args) => ({ kernelBoot: { kernel: '/k', args } }),
  'cpu.model': (model) => ({ domain: { cpu: { model } } }),
  'cpu.features[].name': (name) => ({ domain: { cpu: { features: [{ name }] } } }),
  'hyperv.vendorid': (vendorid) => ({
    accelerator: 'kvm',
    domain: { features: { hyperv: { vendorid: { vendorid } } } },
  }),
  'clock.timezone': (timezone) => ({ domain: { clock: { timezone } } }),
  'rtc.track': (track) => ({ domain: { clock: { timer: { rtc: { track } } } } }),
  'disk name': (name) => ({ disks: [rawDisk(name)], devices: { disks: [{ name, disk: {} }] } }),
  'disk file': (file) => ({ disks: [rawDisk('a', file)], devices: { disks: [{ name: 'a', disk: {} }] } }),
  'disk serial': (serial) => ({
    disks: [rawDisk('a')],
    devices: { disks: [{ name: 'a', disk: {}, serial }] },
  }),
  'disk bus': (bus) => ({ disks: [rawDisk('a')], devices: { disks: [{ name: 'a', disk: { bus } }] } }),
  'disk pciAddress': (pciAddress) => ({
    disks: [rawDisk('a')],
    devices: { disks: [{ name: 'a', disk: { bus: 'virtio', pciAddress } }] },
  }),
  'interface name': (name) => ({
    devices: { interfaces: [{ name, masquerade: {} }] },
    spec: { networks: [{ name, pod: {} }] },
  }),
  'interface model': (model) => ({ devices: { interfaces: [{ name: 'default', masquerade: {}, model }] } }),
  'interface macAddress': (macAddress) => ({
    devices: { interfaces: [{ name: 'default', masquerade: {}, macAddress }] },
  }),
  'interface bootFileName': (bootFileName) => ({
    devices: { interfaces: [{ name: 'default', masquerade: {}, dhcpOptions: { bootFileName } }] },
  }),
  vmNetworkCIDR: (vmNetworkCIDR) => ({ spec: { networks: [{ name: 'default', pod: { vmNetworkCIDR } }] } }),
  hostname: (hostname) => ({ spec: { hostname } }),
  'dnsConfig.searches': (search) => ({ spec: { dnsConfig: { searches: [search] } } }),
  'watchdog name': (name) => ({ devices: { watchdog: { name, i6300esb: {} } } }),
  'sound name': (name) => ({ devices: { sound: { name } } }),
  'guest name': (name) => ({ name }),
  namespace: (namespace) => ({ namespace }),
  'run directory': (runDir) => ({ paths: { runDir, stateDir: '/s' } }),
  'state directory': (stateDir) => ({ paths: { runDir: '/r', stateDir } }),
}

/** Those of a vocabulary that no random text hits. */
const CLOSED = new Set([
  'firmware.uuid',
  'clock.timezone',
  'rtc.track',
  'disk bus',
  'disk pciAddress',
  'interface model',
  'interface macAddress',
  'vmNetworkCIDR',
])

/** What an attacker would try, and anything else. */
const text = () =>
  constantFrom(
    stringMatching(/^[a-z,=]{0,12}$/),
    stringMatching(/^(-[a-z]+ |,,|,readonly=on|"|\\|\}|\{"driver":)+[a-z0-9]*$/),
    string({ unit: 'binary', maxLength: 20 }),
    stringMatching(/^[a-z0-9]{1,12}$/),
  ).chain((arbitrary) => arbitrary)

/** The options of a command line, and the keys within each `key=value` one. */
function shapeOf(argv: readonly string[]): string[] {
  return argv.flatMap((arg, index) => {
    const option = argv[index - 1] ?? ''
    if (
      ['-smbios', '-chardev', '-name', '-rtc', '-machine', '-vnc', '-smp', '-boot', '-mon'].includes(option)
    ) {
      const parts = arg.match(/(?:[^,]|,,)+/g) ?? []
      return parts.map((part) => part.split('=')[0] ?? '')
    }
    return arg.startsWith('-') && !['-append', '-pidfile'].includes(option) ? [arg] : ['']
  })
}

describe('no text of a spec adds an argument or a part of one', () => {
  test.each(Object.entries(TEXTS))('%s', (where, partsWith) => {
    const plain = new Set<string>()
    assert(
      property(text(), (value) => {
        if (value === '') return
        try {
          const { argv } = buildArgv(makePlan(partsWith(value)), NOW)
          plain.add(shapeOf(argv).join(' '))
        } catch (error) {
          // What cannot be said is refused; what the host's directories cannot be is the operator's to mend.
          if (!(error instanceof GuestConfigError || error instanceof RangeError)) throw error
        }
      }),
    )
    expect(plain.size).toBe(CLOSED.has(where) ? 0 : 1)
  })
})
