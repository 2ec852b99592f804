import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Vmi, VmiSpec } from '../../src/kinds/kubevirt.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { QemuCapabilities } from '../../src/qemu/probe.ts'
import type { Images } from '../../src/worker/volumes/context.ts'
import { openWorker, type Worker, type WorkerOptions } from '../../src/worker/worker.ts'
import { guestVmi, silentLog, type WorkerHome } from './worker.ts'

/** A clock that runs that many times as fast as the machine's. */
export function fastClock(factor: number): Clock {
  const start = Date.now()
  return {
    now: () => start + (Date.now() - start) * factor,
    after(delayMs, run) {
      const timer = setTimeout(run, Math.max(0, delayMs) / factor)
      return { [Symbol.dispose]: () => clearTimeout(timer) }
    },
  }
}

/** An image store without images; a test replaces what it needs. */
export const noImages: Images = {
  ensure: () => Promise.reject(new Error('no image was expected')),
  disk: () => Promise.reject(new Error('no disk was expected')),
  file: () => Promise.reject(new Error('no file was expected')),
}

/** A real worker whose QEMU is `test/programs/fake-machine.ts`, run as our own user. */
export async function openFakeWorker(home: WorkerHome, more: Partial<WorkerOptions> = {}): Promise<Worker> {
  return openWorker({
    nodeName: 'test-node',
    version: '0.0.0',
    stateDir: home.stateDir,
    runDir: home.runDir,
    images: noImages,
    qemu: fakeCapabilities(home),
    acceleration: { accelerator: 'tcg', note: 'tests emulate' },
    user: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
    clock: fastClock(20),
    log: silentLog,
    ...more,
  })
}

function fakeCapabilities({ root }: WorkerHome): QemuCapabilities {
  const binary = join(root, 'qemu')
  const program = fileURLToPath(new URL('../programs/fake-machine.ts', import.meta.url))
  writeFileSync(binary, `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`, { mode: 0o755 })
  return {
    binary,
    version: { major: 7, minor: 2, micro: 0 },
    machines: [{ name: 'pc-q35-7.2', alias: 'q35', maxCpus: 288 }],
    deprecatedMachines: ['pc-i440fx-1.4'],
    cpuModels: ['qemu64'],
    cpuFeatures: [],
    deviceTypes: [
      'isa-serial',
      'VGA',
      'qemu-xhci',
      'usb-tablet',
      'usb-redir',
      'pcie-root-port',
      'virtserialport',
      'scsi-hd',
      'ide-cd',
      'vhost-vsock-pci',
      ...['scsi', 'serial', 'net', 'rng', 'balloon', 'blk'].map((kind) => `virtio-${kind}-pci`),
    ],
    commands: [],
  }
}

/** A VMI for the stand-in; its name says how the guest behaves. */
export function fakeVmi(name: string, spec: Partial<VmiSpec> = {}): Vmi {
  return guestVmi(name, {
    ...spec,
    domain: { firmware: {}, ...spec.domain, devices: { ...spec.domain?.devices } },
  })
}
