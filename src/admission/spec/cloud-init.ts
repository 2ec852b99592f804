import { addAll, invalidValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import type { Volume } from './rule.ts'

/** Bytes a guest's data may have; more is put into a Secret. */
const LENGTH_LIMIT = 2048

interface Source {
  secret: string | undefined
  base64: string | undefined
  text: string | undefined
}

/** What comes before the first wrong character counts as decoded. Contract: PRIM-015. */
function decode(base64: string): { length: number; isValid: boolean } {
  const text = base64.replaceAll(/[\r\n]/g, '')
  const isValid = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)
  const sound = /^(?:[A-Za-z0-9+/]{4})*/.exec(text)?.[0] ?? ''
  return { length: Buffer.from(isValid ? text : sound, 'base64').length, isValid }
}

/** User data and network data of cloud-init come from one place each. Contract: VMI-VOL-004 … 010. */
export function cloudInitIsOneSource(volume: Volume, at: FieldPath): Cause[] {
  const name = volume.cloudInitNoCloud ? 'cloudInitNoCloud' : 'cloudInitConfigDrive'
  const source = volume.cloudInitNoCloud ?? volume.cloudInitConfigDrive
  if (!source) return []
  const field = at.child(name)
  const user = { secret: source.secretRef?.name, base64: source.userDataBase64, text: source.userData }
  const network = {
    secret: source.networkDataSecretRef?.name,
    base64: source.networkDataBase64,
    text: source.networkData,
  }
  const causes: Cause[] = []
  addAll(causes, checkSource(user, field, 'userData'))
  addAll(causes, checkSource(network, field, 'networkData'))
  if (countSources(user) + countSources(network) === 0)
    causes.push(invalidValue(field, 'give userData or networkData, or a Secret'))
  return causes
}

function countSources({ secret, base64, text }: Source): number {
  return [secret, base64, text].filter(Boolean).length
}

function checkSource(source: Source, field: FieldPath, name: 'userData' | 'networkData'): Cause[] {
  const decoded = source.base64 ? decode(source.base64) : { length: 0, isValid: true }
  const causes: Cause[] = []
  if (!decoded.isValid) causes.push(invalidValue(field.child(`${name}Base64`), 'is not base64'))
  if (countSources(source) > 1)
    causes.push(invalidValue(field, `${name} comes from more than one place: choose one`))
  const length = source.text ? Buffer.byteLength(source.text) : decoded.length
  if (length > LENGTH_LIMIT)
    causes.push(invalidValue(field, `${name} is longer than ${LENGTH_LIMIT} bytes: put it into a Secret`))
  return causes
}
