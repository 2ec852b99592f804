import { unauthorized, type StatusError } from '../../lib/errors.ts'
import type { User } from '../access.ts'
import type { HeaderNames } from './trust.ts'

/**
 * On whose behalf a forwarded request comes; `undefined` where no header says so. Throws 401 where the user is named
 * more than once. Reads the raw lines: Node joins repeated headers, and groups may hold commas.
 *
 * Source: contract, HD-1 to HD-5; `k8s.io/apiserver/pkg/authentication/request/headerrequest`.
 */
export function readIdentity(rawHeaders: readonly string[], names: HeaderNames): User | undefined {
  const lines = readLines(rawHeaders)
  const users = firstPresent(lines, names.user)
  const [name] = users
  if (name === undefined) return undefined
  if (users.length > 1) throw repeated('the user')
  const uids = firstPresent(lines, names.uid)
  const [uid] = uids
  if (uids.length > 1) throw repeated("the user's UID")
  const extra = readExtra(lines, names.extraPrefixes)
  return {
    name,
    groups: firstPresent(lines, names.group),
    ...(uid !== undefined && { uid }),
    ...(extra.size > 0 && { extra: Object.fromEntries(extra) }),
  }
}

interface Line {
  /** In lower case. */
  name: string
  value: string
}

function readLines(rawHeaders: readonly string[]): Line[] {
  const lines: Line[] = []
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const [name = '', value = ''] = rawHeaders.slice(at, at + 2)
    lines.push({ name: name.toLowerCase(), value: decodeValue(value) })
  }
  return lines
}

const UTF8 = new TextDecoder('utf-8', { fatal: true })

/** Node takes a header for Latin-1; kube-apiserver writes names as they are, in UTF-8. */
function decodeValue(value: string): string {
  try {
    return UTF8.decode(Buffer.from(value, 'latin1'))
  } catch {
    // Somebody wrote Latin-1 after all.
    return value
  }
}

/** All values of the first of these headers that is there; an empty value is none. */
function firstPresent(lines: readonly Line[], names: readonly string[]): string[] {
  for (const wanted of names) {
    const values = lines.filter(({ name, value }) => name === wanted && value !== '')
    if (values.length > 0) return values.map(({ value }) => value)
  }
  return []
}

/** Keys may be anything, `__proto__` too. */
function readExtra(lines: readonly Line[], prefixes: readonly string[]): Map<string, string[]> {
  const extra = new Map<string, string[]>()
  for (const prefix of prefixes) {
    for (const { name, value } of lines) {
      if (!name.startsWith(prefix)) continue
      const key = decodeKey(name.slice(prefix.length))
      extra.set(key, [...(extra.get(key) ?? []), value])
    }
  }
  return extra
}

/** Decoded once; as it is where that cannot be done (contract: HD-4). */
function decodeKey(key: string): string {
  try {
    return decodeURIComponent(key)
  } catch {
    return key
  }
}

function repeated(what: string): StatusError {
  return unauthorized(`the request names ${what} more than once`)
}
