import { join } from 'node:path'
import { isPair } from './inspect.ts'
import { readIfThere, writePrivate } from './files.ts'
import { createKey, type KeyPair } from './issue.ts'

/** Where a pair stands on disk. */
export interface PairFiles {
  cert: string
  key: string
}

/** `DIR/name.crt` and `DIR/name.key`. */
export function pairFiles(dir: string, name: string): PairFiles {
  return { cert: join(dir, `${name}.crt`), key: join(dir, `${name}.key`) }
}

/** An authority's certificate is there and its key is not: what it has signed cannot be renewed. */
export class AuthorityKeyMissing extends Error {
  constructor(files: PairFiles) {
    super(
      `${files.cert} has no key that belongs to it in ${files.key}: put the key back, or remove both files to make ` +
        'a new authority (kubeconfigs written so far then stop working)',
    )
    this.name = 'AuthorityKeyMissing'
  }
}

/** The pair as it stands on disk; `undefined` where a part is missing or the two do not belong together. */
export async function readPair(files: PairFiles): Promise<KeyPair | undefined> {
  const [cert, key] = await Promise.all([readIfThere(files.cert), readIfThere(files.key)])
  if (cert === undefined || key === undefined) return undefined
  const pair = { cert, key }
  return isPair(pair) ? pair : undefined
}

/** A pair that is made anew as soon as it is no longer good. `changed` says whether it was. */
export interface KeptPair {
  pair: KeyPair
  changed: boolean
}

/** The leaf on disk where it is good, else a new one, on disk before this returns. */
export async function keepLeaf(
  files: PairFiles,
  isGood: (cert: string) => boolean,
  make: () => Promise<KeyPair>,
): Promise<KeptPair> {
  const stored = await readPair(files)
  if (stored && isGood(stored.cert)) return { pair: stored, changed: false }
  return { pair: await writePair(files, await make()), changed: true }
}

/**
 * The authority on disk. Its key stays for ever: a renewal is a new certificate for the same name and key, so that
 * whoever trusts the old one goes on until that one's end. Throws `AuthorityKeyMissing`.
 */
export async function keepAuthority(
  files: PairFiles,
  isGood: (cert: string) => boolean,
  make: (key: string) => Promise<KeyPair>,
): Promise<KeptPair> {
  const [cert, key] = await Promise.all([readIfThere(files.cert), readIfThere(files.key)])
  if (cert !== undefined && (key === undefined || !isPair({ cert, key })))
    throw new AuthorityKeyMissing(files)
  if (cert !== undefined && key !== undefined && isGood(cert)) return { pair: { cert, key }, changed: false }
  return { pair: await writePair(files, await make(key ?? (await createKey()))), changed: true }
}

/** The private key in a file; a new one where there is none. */
export async function keepKey(file: string): Promise<string> {
  const stored = await readIfThere(file)
  if (stored !== undefined) return stored
  const key = await createKey()
  await writePrivate(file, key)
  return key
}

/** The key first: a leaf torn by a crash is made again, and an authority's key is never without its file. */
async function writePair(files: PairFiles, pair: KeyPair): Promise<KeyPair> {
  await writePrivate(files.key, pair.key)
  await writePrivate(files.cert, pair.cert)
  return pair
}
