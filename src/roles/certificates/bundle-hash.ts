import { createHash } from 'node:crypto'

/** By what a bundle of authorities is compared: SHA-256 of its text, base64url. */
export function bundleHash(bundle: string): string {
  return createHash('sha256').update(bundle).digest('base64url')
}
