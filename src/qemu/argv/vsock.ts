import type { Build } from './build.ts'
import { resourceMissing } from './error.ts'
import { DEVICES } from './spec.ts'

/** A socket between the guest and its host that needs no network. */
export function addVsock({ plan, line, ports }: Build): void {
  if (plan.spec.domain.devices.autoattachVSOCK !== true) return
  const at = DEVICES.child('autoattachVSOCK')
  const { vsock } = plan
  if (!vsock) {
    throw resourceMissing(at, 'this node has no /dev/vhost-vsock: load the kernel module vhost_vsock')
  }
  line.device(at, {
    driver: 'vhost-vsock-pci',
    id: 'vsock0',
    'guest-cid': vsock.cid,
    // Opened by the worker: QEMU's user may not.
    vhostfd: String(vsock.fd),
    ...ports.express('vsock0', at),
  })
}
