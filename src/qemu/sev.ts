import { isRecord } from '../lib/json.ts'
import { QemuUnusable, withIdleQemu } from './probe.ts'

/** What AMD's Secure Encrypted Virtualization is on this host. Source: QMP, `query-sev-capabilities`. */
export interface SevPlatform {
  /** The platform's Diffie-Hellman key, base64. */
  pdh: string
  /** Certificates up to AMD's, base64. */
  certChain: string
  /** The bit of an address that says that a page is encrypted. */
  cbitpos: number
  /** How many bits of addresses that costs. */
  reducedPhysBits: number
}

/** This host has no SEV, or QEMU may not use it. */
export class SevUnavailable extends Error {
  constructor(why: string, cause?: unknown) {
    super(`SEV cannot be used on this node: ${why}`, cause === undefined ? undefined : { cause })
    this.name = 'SevUnavailable'
  }
}

/**
 * Asks a QEMU without a guest for the host's SEV. Never kept: the keys are others after a reboot.
 *
 * Throws `SevUnavailable` and the reason of `signal`.
 */
export async function querySevPlatform(binary: string, signal?: AbortSignal): Promise<SevPlatform> {
  try {
    const answer = await withIdleQemu({ binary, accelerator: 'kvm', ...(signal && { signal }) }, (qmp) =>
      qmp.execute('query-sev-capabilities'),
    )
    return readPlatform(answer)
  } catch (error) {
    signal?.throwIfAborted()
    if (error instanceof SevUnavailable) throw error
    if (!(error instanceof QemuUnusable)) throw error
    throw new SevUnavailable(error.message, error)
  }
}

function readPlatform(answer: unknown): SevPlatform {
  if (isRecord(answer)) {
    const { pdh, 'cert-chain': certChain, cbitpos, 'reduced-phys-bits': reducedPhysBits } = answer
    if (
      typeof pdh === 'string' &&
      typeof certChain === 'string' &&
      isBits(cbitpos) &&
      isBits(reducedPhysBits)
    )
      return { pdh, certChain, cbitpos, reducedPhysBits }
  }
  throw new SevUnavailable('QEMU does not say what it is')
}

function isBits(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) < 64
}
