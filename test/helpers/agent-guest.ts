import { AGENT_GUEST_REFERENCE, buildAgentGuest } from '../../src/guest/agent-guest.ts'
import { defaultCacheDir } from '../../src/guest/debian.ts'
import { type GuestImage, importGuest } from '../../src/guest/guest-image.ts'
import type { Vmi, VmiSpec } from '../../src/kinds/kubevirt.ts'
import { openImageStore } from '../../src/worker/images/store.ts'
import { helloVm, type HelloOptions } from './vms.ts'
import { guestVmi, silentLog, type WorkerHome } from './worker.ts'

/**
 * Kernel and initial RAM disk of the guest that has Debian's qemu-guest-agent, TCP and UDP echo at port 7, and root
 * logged in at its console. The first call on a machine takes some 15 s and the network; later ones milliseconds.
 */
export async function agentGuest(): Promise<GuestImage> {
  return buildAgentGuest({
    cacheDir: defaultCacheDir(),
    onProgress: (text) => process.stderr.write(`agent guest: ${text}\n`),
  })
}

/** An image store that has that guest, for `openTestWorker(home, { images })`. */
export async function agentImages(home: WorkerHome) {
  const store = await openImageStore({ dir: `${home.root}/images`, log: silentLog })
  await importGuest(store, await agentGuest(), AGENT_GUEST_REFERENCE)
  return store
}

/** Puts the guest into the image store of an embedded server's data directory, before it starts. */
export async function addAgentGuest(imagesDir: string): Promise<void> {
  await using store = await openImageStore({ dir: imagesDir, log: silentLog })
  await importGuest(store, await agentGuest(), AGENT_GUEST_REFERENCE)
}

/** What a test may want to be different about its VMI. */
export type AgentVmiOptions = Partial<VmiSpec> & {
  kernelArgs?: string
  /** Whether it has a disk of 64 MiB with an ext4 file system, mounted at `/data`. */
  data?: boolean
}

/** A VMI that boots it; its console says GUEST-READY, and the agent is there about a second later. */
export function agentVmi(name: string, { data = false, ...options }: AgentVmiOptions = {}): Vmi {
  const kernelArgs = [options.kernelArgs, data && 'virtgate.data=/dev/vda'].filter(Boolean).join(' ')
  const vmi = guestVmi(name, { ...options, kernelArgs })
  const { container } = vmi.spec.domain.firmware?.kernelBoot ?? {}
  if (container) container.image = AGENT_GUEST_REFERENCE
  if (!data) return vmi
  const { devices } = vmi.spec.domain
  devices.disks = [{ name: 'data', disk: { bus: 'virtio' } }, ...(devices.disks ?? [])]
  vmi.spec.volumes = [{ name: 'data', emptyDisk: { capacity: '64Mi' } }, ...(vmi.spec.volumes ?? [])]
  return vmi
}

/** The manifest of a VM that boots it. */
export function agentVm(name: string, options: HelloOptions = {}) {
  const vm = helloVm(name, options)
  vm.spec.template.spec.domain.firmware.kernelBoot.container.image = AGENT_GUEST_REFERENCE
  return vm
}
