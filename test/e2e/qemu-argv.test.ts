import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { buildArgv } from '../../src/qemu/argv/index.ts'
import { buildBootDisk } from '../../src/qemu/boot-sector.ts'
import { findFirmware } from '../../src/qemu/firmware.ts'
import type { MachinePlan } from '../../src/qemu/plan.ts'
import { probeQemu, type QemuCapabilities, resolveMachineType } from '../../src/qemu/probe.ts'
import {
  isAlive,
  lastQemuError,
  type QemuProcess,
  signalProcess,
  spawnQemu,
  waitForExit,
} from '../../src/qemu/process.ts'
import { connectQmp, type QmpClient } from '../../src/qemu/qmp/client.ts'
import { requireQemu } from '../helpers/guest.ts'
import { makePlan, type PlanParts, rawDisk } from '../qemu/plans.ts'

const describeQemu = requireQemu()

/** Guests run as this user where the tests are root, as they do on a node. */
const user = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}

let capabilities: QemuCapabilities
let dir: string
let started: QemuProcess[]

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'vg-'))
  chmodSync(dir, 0o755)
  for (const name of ['run', 'state']) mkdirSync(join(dir, name))
  started = []
})

afterEach(async () => {
  for (const qemu of started) {
    signalProcess(qemu, 'SIGKILL')
    await waitForExit(qemu)
  }
  rmSync(dir, { recursive: true, force: true })
})

/** An image in the guest's directory. */
function image(name: string, format: 'raw' | 'qcow2' = 'raw', ...backing: string[]): string {
  const file = join(dir, `${name}.${format}`)
  const base = backing.flatMap((path) => ['-b', path, '-F', 'raw'])
  execFileSync('qemu-img', ['create', '-q', '-f', format, ...base, file, ...(base.length > 0 ? [] : ['8M'])])
  return file
}

function planOf(parts: PlanParts): MachinePlan {
  const machineType = resolveMachineType(capabilities, 'q35')
  if (!machineType) throw new Error('this QEMU has no machine q35')
  return makePlan({
    machineType,
    qemuVersion: capabilities.version,
    cpuFeatures: capabilities.cpuFeatures,
    paths: { runDir: join(dir, 'run'), stateDir: join(dir, 'state') },
    ...parts,
  })
}

/** Starts QEMU as a node would, and answers its monitor; fails with what QEMU said. */
async function start(plan: MachinePlan): Promise<QmpClient> {
  if (user.uid !== undefined) execFileSync('chown', ['-R', `${user.uid}:${user.gid}`, dir])
  const logFile = join(dir, 'state', 'qemu.log')
  const { argv } = buildArgv(plan)
  const qemu = await spawnQemu({ binary: capabilities.binary, argv, logFile, ...user })
  started.push(qemu)
  try {
    return await connectQmp(join(dir, 'run', 'qmp.sock'), { timeoutMs: 30_000, alive: () => isAlive(qemu) })
  } catch (error) {
    throw new Error(`QEMU did not start: ${await lastQemuError(logFile)}`, { cause: error })
  }
}

async function devicesOf(qmp: QmpClient): Promise<string[]> {
  const children = await qmp.execute<{ name: string }[]>('qom-list', { path: '/machine/peripheral' })
  return children.map(({ name }) => name)
}

interface Case {
  parts: () => PlanParts | Promise<PlanParts>
  devices?: string[]
}

async function efi(secureBoot: boolean): Promise<PlanParts> {
  const firmware = await findFirmware({
    secureBoot,
    machineType: resolveMachineType(capabilities, 'q35') ?? '',
  })
  if (!firmware) throw new Error('this machine has no EFI firmware: install ovmf')
  const vars = join(dir, 'nvram.fd')
  copyFileSync(firmware.varsTemplate, vars)
  return {
    efi: { code: firmware.code, vars, secureBoot },
    domain: {
      firmware: { bootloader: { efi: { secureBoot } } },
      ...(secureBoot && { features: { smm: {} } }),
    },
  }
}

const CASES: Record<string, Case> = {
  'nothing but defaults': {
    parts: () => ({}),
    devices: ['ua-default', 'video0', 'tablet0', 'balloon0', 'scsi0', 'channel0'],
  },
  'a virtio disk with every option': {
    parts: () => ({
      disks: [rawDisk('root', image('root'), { directIo: false })],
      devices: {
        blockMultiQueue: true,
        disks: [
          {
            name: 'root',
            disk: { bus: 'virtio', pciAddress: '0000:00:10.0' },
            bootOrder: 1,
            cache: 'writeback',
            io: 'threads',
            errorPolicy: 'enospace',
            serial: 'ROOT',
            dedicatedIOThread: true,
            blockSize: { custom: { logical: 4096, physical: 4096, discardGranularity: 4096 } },
          },
        ],
      },
      domain: { ioThreadsPolicy: 'auto', cpu: { cores: 2 } },
    }),
    devices: ['ua-root'],
  },
  'an overlay on a read-only base': {
    parts: () => {
      const base = image('base')
      const backing = { file: base, format: 'raw' as const }
      return {
        disks: [
          { name: 'root', file: image('top', 'qcow2', base), format: 'qcow2', readOnly: false, backing },
        ],
        devices: { disks: [{ name: 'root', disk: {} }] },
      }
    },
    devices: ['ua-root'],
  },
  'disks on every bus, and more SATA disks than the machine has ports': {
    parts: () => {
      const sata = Array.from({ length: 14 }, (_, index) => `sata${index}`)
      const names = [...sata, 'virtio', 'scsi', 'usb']
      return {
        disks: names.map((name) => rawDisk(name, image(name))),
        devices: { disks: names.map((name) => ({ name, disk: { bus: name.replace(/\d+$/, '') } })) },
      }
    },
    devices: ['ua-sata0', 'ua-sata13', 'ahci1', 'ahci2', 'ua-virtio', 'ua-scsi', 'ua-usb'],
  },
  'read-only disks where a bus can have them': {
    parts: () => {
      const names = ['virtio', 'scsi', 'usb']
      return {
        disks: names.map((name) => rawDisk(name, image(name))),
        devices: { disks: names.map((name) => ({ name, disk: { bus: name, readonly: true } })) },
      }
    },
  },
  'CD-ROM drives, one of them empty': {
    parts: () => ({
      disks: [rawDisk('cd', image('cd'), { readOnly: true }), rawDisk('other', image('other'))],
      devices: {
        disks: [
          { name: 'cd', cdrom: { bus: 'sata' }, bootOrder: 1 },
          { name: 'other', cdrom: { bus: 'scsi', tray: 'closed' } },
          { name: 'empty', cdrom: {} },
        ],
      },
    }),
    devices: ['ua-cd', 'ua-other', 'ua-empty'],
  },
  'a disk that guests share': {
    parts: () => ({
      disks: [rawDisk('data', image('data'))],
      devices: { disks: [{ name: 'data', disk: { bus: 'scsi' }, shareable: true }] },
    }),
  },
  'EFI without Secure Boot': { parts: () => efi(false), devices: ['video0'] },
  'EFI with Secure Boot': { parts: () => efi(true) },
  'a kernel from outside, with a comma in its arguments': {
    parts: () => {
      const kernel = join(dir, 'vmlinuz')
      writeFileSync(kernel, bzImage())
      const initrd = join(dir, 'initrd')
      writeFileSync(initrd, Buffer.alloc(4096))
      return {
        kernelBoot: { kernel, initrd, args: 'console=ttyS0,115200 -x ,, y' },
        domain: {
          firmware: {
            kernelBoot: { container: { image: 'registry.example/kernel', kernelPath: '/vmlinuz' } },
          },
        },
      }
    },
  },
  'all the smaller devices': {
    parts: () => ({
      devices: {
        rng: {},
        clientPassthrough: {},
        sound: { name: 'snd', model: 'ich9' },
        watchdog: { name: 'dog', i6300esb: { action: 'poweroff' } },
        panicDevices: [{ model: 'isa' }, { model: 'pvpanic' }],
        inputs: [
          { name: 'one', type: 'tablet', bus: 'usb' },
          { name: 'two', type: 'tablet', bus: 'virtio' },
        ],
      },
      domain: { rebootPolicy: 'Terminate' },
    }),
    devices: ['rngdev0', 'usbredir3', 'ua-snd', 'ua-dog', 'panic-isa', 'panic-pci', 'ua-one', 'ua-two'],
  },
  'an AC97 sound card and no other comfort': {
    parts: () => ({
      devices: {
        sound: { name: 'snd', model: 'ac97' },
        autoattachGraphicsDevice: false,
        autoattachMemBalloon: false,
        autoattachSerialConsole: false,
        autoattachPodInterface: false,
        disableHotplug: true,
        interfaces: [],
      },
      spec: { networks: [] },
    }),
  },
  'transitional virtio devices': {
    parts: () => ({
      disks: [rawDisk('root', image('root'))],
      devices: { useVirtioTransitional: true, rng: {}, disks: [{ name: 'root', disk: { bus: 'virtio' } }] },
    }),
    devices: ['pci1', 'ua-root', 'ua-default'],
  },
  'hundreds of vCPUs asked to be pluggable, and memory to be': {
    parts: () => ({
      domain: {
        cpu: {
          sockets: 2,
          cores: 2,
          threads: 2,
          maxSockets: 128,
          model: 'Nehalem',
          features: [{ name: 'sse4_2' }, { name: 'x2apic', policy: 'disable' }],
        },
        memory: { guest: '1Gi', maxGuest: '4Gi' },
      },
    }),
  },
  'words of the SMBIOS tables with commas': {
    parts: () => ({
      domain: {
        firmware: { serial: 'a,b=c', uuid: '5d307ca9-b3ef-428c-8861-06e72d69f223' },
        chassis: { manufacturer: 'A, B', version: '1', serial: 's,', asset: ',', sku: ',,x' },
      },
    }),
  },
  'a clock in another zone and timers that are off': {
    parts: () => ({
      domain: {
        clock: {
          timezone: 'Asia/Kathmandu',
          timer: {
            hpet: { present: false },
            pit: { present: false },
            rtc: { tickPolicy: 'catchup', track: 'guest' },
            kvm: { present: false },
          },
        },
        features: { acpi: { enabled: false }, apic: {}, kvm: { hidden: true } },
      },
    }),
  },
  'a clock off by some seconds': {
    parts: () => ({ domain: { clock: { utc: { offsetSeconds: -86_400 } } } }),
  },
  'a guest that waits at the boot menu': {
    parts: () => ({
      spec: { startStrategy: 'Paused' },
      domain: { firmware: { bootloader: { bios: { useSerial: true } } } },
    }),
  },
}

for (const type of ['vga', 'bochs', 'virtio', 'ramfb', 'cirrus']) {
  CASES[`a graphics card of type ${type}`] = {
    parts: () => ({ devices: { video: { type } } }),
    devices: ['video0'],
  }
}
for (const model of ['virtio', 'e1000', 'e1000e', 'ne2k_pci', 'pcnet', 'rtl8139']) {
  CASES[`a network card of model ${model}, with every option`] = {
    parts: () => ({
      devices: {
        interfaces: [
          {
            name: 'default',
            masquerade: {},
            model,
            macAddress: '02-00-00-AA-BB-CC',
            bootOrder: 1,
            acpiIndex: 7,
            dhcpOptions: { bootFileName: 'pxe,linux.0', tftpServerName: '192.0.2.1' },
          },
        ],
      },
      spec: {
        hostname: 'guest',
        dnsConfig: { searches: ['example.org'] },
        networks: [
          { name: 'default', pod: { vmNetworkCIDR: '10.11.12.0/28', vmIPv6NetworkCIDR: 'fd10:0:2::/64' } },
        ],
      },
    }),
    devices: ['ua-default'],
  }
}

describeQemu('the command line', () => {
  beforeAll(async () => {
    capabilities = await probeQemu()
  })

  test.each(Object.entries(CASES))(
    'QEMU accepts %s, as an unprivileged user in the sandbox',
    async (_name, { parts, devices = [] }) => {
      await using qmp = await start(planOf(await parts()))
      expect(await qmp.execute('query-status')).toMatchObject({ status: 'prelaunch' })
      expect(await devicesOf(qmp)).toEqual(expect.arrayContaining(devices))
      await qmp.execute('quit')
    },
  )

  test('a guest writes to the serial socket, and the log keeps it', async () => {
    const file = join(dir, 'boot.img')
    writeFileSync(file, buildBootDisk('HELLO FROM SECTOR 0'))
    const qmp = await start(
      planOf({
        disks: [rawDisk('root', file)],
        devices: { disks: [{ name: 'root', disk: { bus: 'virtio' } }] },
      }),
    )
    const console = createConnection(join(dir, 'run', 'serial0.sock'))
    try {
      await qmp.execute('cont')
      let seen = ''
      for await (const chunk of console.setEncoding('latin1')) {
        seen += String(chunk)
        if (seen.includes('HELLO FROM SECTOR 0')) break
      }
      expect(seen).toContain('HELLO FROM SECTOR 0')
      // QEMU writes it there after it has written it to the socket.
      const log = join(dir, 'state', 'serial0.log')
      await expect.poll(() => execFileSync('cat', [log], { encoding: 'latin1' })).toContain('SECTOR 0')
      await qmp.execute('quit')
    } finally {
      console.destroy()
      await qmp.close()
    }
  })
})

/** As much of a kernel as QEMU reads before anything runs: a boot header of protocol 2.12. */
function bzImage(): Buffer {
  const kernel = Buffer.alloc(16 * 1024)
  kernel.writeUInt8(4, 0x1f1)
  kernel.writeUInt16LE(0xaa55, 0x1fe)
  kernel.write('HdrS', 0x202, 'ascii')
  kernel.writeUInt16LE(0x020c, 0x206)
  kernel.writeUInt8(1, 0x211)
  kernel.writeUInt32LE(0x7fffffff, 0x22c)
  kernel.writeUInt32LE(2048, 0x238)
  return kernel
}
