import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { FieldPath } from '../../lib/field-path.ts'
import { needsKvm, resourceMissing } from '../../qemu/argv/error.ts'
import type { MachinePlan } from '../../qemu/plan.ts'
import { querySevPlatform, SevUnavailable } from '../../qemu/sev.ts'
import type { VolumeContext } from '../volumes/context.ts'
import { giveTo } from '../volumes/qemu-img.ts'
import type { WorkerParts } from '../parts.ts'
import { GuestFailure } from './failure.ts'

type Context = Pick<VolumeContext, 'request' | 'files' | 'user' | 'signal'> &
  Pick<WorkerParts, 'qemu' | 'acceleration'>

const AT = new FieldPath('spec').child('domain', 'launchSecurity', 'sev')

/**
 * What a SEV guest is started with; `undefined` where it is none. One that is to be attested waits for its session:
 * `setupsession` writes it into the spec.
 *
 * Throws `GuestFailure`, and `GuestConfigError` for a host without SEV.
 */
export async function prepareSev(context: Context): Promise<MachinePlan['sev']> {
  const { request, files, user, qemu, acceleration, signal } = context
  const { sev } = request.vmi.spec.domain.launchSecurity ?? {}
  if (!sev) return undefined
  if (acceleration.accelerator !== 'kvm') throw needsKvm(AT, 'needs KVM, which does not work on this node')
  const { attestation, session, dhCert } = sev
  if (attestation && !(session && dhCert)) {
    throw new GuestFailure(
      'SEVSessionMissing',
      'always',
      `${String(AT)}: waits for session and dhCert: send them with sev/setupsession`,
    )
  }
  const platform = await querySevPlatform(qemu.binary, signal).catch((error: unknown) => {
    if (error instanceof SevUnavailable) throw resourceMissing(AT, error.message)
    throw error
  })
  const write = async (name: string, text: string): Promise<string> => {
    const file = join(files.generated, name)
    await writeFile(file, text, { mode: 0o600 })
    await giveTo(file, user)
    return file
  }
  return {
    cbitpos: platform.cbitpos,
    reducedPhysBits: platform.reducedPhysBits,
    ...(session && { sessionFile: await write('sev-session.b64', session) }),
    ...(dhCert && { dhCertFile: await write('sev-dh-cert.b64', dhCert) }),
  }
}

/** SHA-256 of the firmware that a SEV guest is measured with, in hexadecimal digits. */
export async function sevLoaderSha({ sev, efi }: MachinePlan): Promise<string | undefined> {
  if (!sev || !efi) return undefined
  return createHash('sha256')
    .update(await readFile(efi.code))
    .digest('hex')
}
