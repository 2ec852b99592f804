import { serviceUnavailable } from '../../lib/errors.ts'
import { isRecord } from '../../lib/json.ts'
import { QmpError } from '../../qemu/qmp/client.ts'
import { querySevPlatform, SevUnavailable } from '../../qemu/sev.ts'
import type { SevSecret } from '../../rpc/actions.ts'
import { type Guest, refuse } from '../guest/guest.ts'
import type { WorkerParts } from '../parts.ts'

/**
 * The platform's certificates; the guest, which may wait for its session, needs no QEMU for it. Throws 503 where the
 * node has no SEV. Source: contract 3.2, SEVPlatformInfo.
 */
export async function readSevPlatform(
  { qemu }: Pick<WorkerParts, 'qemu'>,
  signal?: AbortSignal,
): Promise<Record<string, unknown>> {
  try {
    const { pdh, certChain } = await querySevPlatform(qemu.binary, signal)
    return { pdh, certChain }
  } catch (error) {
    if (error instanceof SevUnavailable) throw serviceUnavailable(error.message)
    throw error
  }
}

/** What the guest was measured to be. Throws 409 where it is none that waits. Source: contract 3.2, SEVMeasurementInfo. */
export async function readSevMeasurement(guest: Guest): Promise<Record<string, unknown>> {
  return guest.operate(async ({ machine, record }) => {
    try {
      const launch = await machine.command('query-sev-launch-measure')
      const info = await machine.command('query-sev')
      if (!isRecord(launch) || !isRecord(info)) throw refuse(guest.report.guest, 'QEMU says nothing of SEV')
      const { sevLoaderSha: loaderSHA } = record.state
      return {
        measurement: launch.data,
        apiMajor: info['api-major'],
        apiMinor: info['api-minor'],
        buildID: info['build-id'],
        policy: info.policy,
        ...(loaderSHA && { loaderSHA }),
      }
    } catch (error) {
      throw asRefusal(guest, error)
    }
  })
}

/** Gives the guest its secret. Throws 409 where it does not wait for one, or the secret is not for it. */
export async function injectSevSecret(guest: Guest, { header, secret }: SevSecret): Promise<void> {
  await guest.operate(async ({ machine }) => {
    try {
      await machine.command('sev-inject-launch-secret', { 'packet-header': header, secret })
    } catch (error) {
      throw asRefusal(guest, error)
    }
  })
}

function asRefusal(guest: Guest, error: unknown): unknown {
  return error instanceof QmpError ? refuse(guest.report.guest, error.message) : error
}
