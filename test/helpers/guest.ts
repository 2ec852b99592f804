import { execFileSync } from 'node:child_process'
import { describe } from 'vitest'
import { defaultCacheDir } from '../../src/guest/debian.ts'
import { GUEST_KERNEL_ARGS, type GuestImage, buildGuestImage } from '../../src/guest/guest-image.ts'

/** The QEMU that runs guests of this machine's own architecture. */
export const QEMU = process.arch === 'arm64' ? 'qemu-system-aarch64' : 'qemu-system-x86_64'

/** What takes an emulated kernel long and nobody asks for: tests of itself, certificates, tracing. */
const NEEDLESS = [
  'load_system_certificate_list',
  'crypto_kdf108_init',
  'init_kprobe_trace',
  'trace_eval_init',
]

/** Kernel arguments with which the test guest is up after three quarters of the time. */
export const TEST_KERNEL_ARGS = [
  GUEST_KERNEL_ARGS,
  'cryptomgr.notests',
  // Each lock that is rewritten for a single processor costs what was translated around it.
  'noreplace-smp',
  `initcall_blacklist=${NEEDLESS.join(',')}`,
].join(' ')

/**
 * Kernel and initial RAM disk of the test guest. The first call on a machine downloads two Debian packages, which
 * takes some seconds; later ones take milliseconds and no network.
 */
export async function guestAssets(): Promise<GuestImage> {
  return buildGuestImage({
    cacheDir: defaultCacheDir(),
    onProgress: (text) => process.stderr.write(`test guest: ${text}\n`),
  })
}

/**
 * vitest's `describe` for tests that boot guests. Where QEMU is missing it skips them, and says so in the title
 * and on stderr.
 */
export function requireQemu(): typeof describe | typeof describe.skip {
  const missing = [QEMU, 'qemu-img'].filter((program) => !runs(program))
  if (missing.length === 0) return describe
  const reason = `${missing.join(' and ')} cannot be run`
  process.stderr.write(`SKIPPING TESTS THAT BOOT GUESTS: ${reason}. Install qemu-system and qemu-utils.\n`)
  return describe.skip
}

function runs(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
