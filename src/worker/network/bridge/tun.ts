import { chmod, stat } from 'node:fs/promises'
import { GuestFailure } from '../../guest/failure.ts'

/** Where a program takes a tap that is its own. */
const TUN = '/dev/net/tun'
/**
 * Everybody may open it: whoever makes a tap, or takes one that is not their own, needs rights besides. The kernel's own
 * documentation asks for it, and systemd sets it; where there is no systemd, often only root may.
 * Source: https://docs.kernel.org/networking/tuntap.html, section 1.2.
 */
const OPEN_TO_ALL = 0o666

/** Lets QEMU, which is not root, take its tap. Throws `GuestFailure` where that is not possible. */
export async function openTunToAll(tun = TUN): Promise<void> {
  try {
    const { mode } = await stat(tun)
    if ((mode & OPEN_TO_ALL) !== OPEN_TO_ALL) await chmod(tun, OPEN_TO_ALL)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new GuestFailure(
      'HostResourceMissing',
      'always',
      `guests on bridges need ${tun}, with the mode 0666: ${why}. Run modprobe tun && chmod 0666 ${tun}`,
      error,
    )
  }
}
