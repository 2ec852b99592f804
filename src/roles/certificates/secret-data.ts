import type { Secret } from '../../kinds/core.ts'
import type { SecretText } from '../../../certs/authority-secret.ts'

/** The values of a Secret as text. */
export function decodeSecret({ data = {} }: Pick<Secret, 'data'>): SecretText {
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]),
  )
}

/** Text as the values of a Secret. */
export function encodeSecret(text: SecretText): Record<string, string> {
  return Object.fromEntries(
    Object.entries(text).map(([key, value]) => [key, Buffer.from(value, 'utf8').toString('base64')]),
  )
}
