import { type JsonRecord, isRecord } from '../../lib/json.ts'
import { pullFailed } from './error.ts'
import type { Reference } from './reference.ts'

/** Contents of pull secrets: name → key → base64, as they come with a guest's request. */
export type PullSecrets = Record<string, Record<string, string>>

/** What proves to a registry who is asking. */
export interface Credential {
  username: string
  password: string
  /** An OAuth refresh token, where the registry gave one in place of a password. */
  identityToken?: string
}

/** Files of Docker's client by the key that a secret keeps them under; only the first kind has `auths` around. */
const KEYS = ['.dockerconfigjson', '.dockercfg']

const HUB_NAMES = ['docker.io', 'index.docker.io', 'registry-1.docker.io']

/**
 * The credentials that pull secrets hold for an image, the most specific entry first.
 *
 * An entry may be a host, `*.host`, or a host with a path that the repository lies under.
 * Throws `ImageError` naming the secret where one cannot be read; its contents are never shown.
 * Source: "Using a Private Registry" in the Kubernetes documentation.
 */
export function credentialsFor(secrets: PullSecrets, reference: Reference): Credential[] {
  return Object.entries(secrets)
    .flatMap(([name, data]) => readSecret(name, data))
    .filter(({ place }) => covers(place, reference))
    .sort((left, right) => right.place.path.length - left.place.path.length)
    .map(({ credential }) => credential)
}

interface Place {
  host: string
  path: string
}

interface Entry {
  place: Place
  credential: Credential
}

function readSecret(name: string, data: Record<string, string>): Entry[] {
  const key = KEYS.find((each) => Object.hasOwn(data, each))
  if (key === undefined) {
    throw pullFailed(
      `pull secret "${name}" has no key ${KEYS.join(' or ')}: make it with \`kubectl create secret docker-registry\``,
    )
  }
  const file = parseFile(name, data[key] ?? '')
  const auths = key === '.dockerconfigjson' ? file.auths : file
  if (!isRecord(auths)) throw unreadable(name, '"auths" is missing')
  return Object.entries(auths).flatMap(([place, value]) => {
    const credential = isRecord(value) ? parseCredential(name, value) : undefined
    return credential ? [{ place: parsePlace(place), credential }] : []
  })
}

function parseFile(name: string, base64: string): JsonRecord {
  let file: unknown
  try {
    file = JSON.parse(Buffer.from(base64, 'base64').toString('utf8'))
  } catch {
    // No cause: the parser's message quotes the secret.
    throw unreadable(name, 'it is not JSON')
  }
  if (!isRecord(file)) throw unreadable(name, 'it is not a JSON object')
  return file
}

/** An entry without any credential is what Docker leaves behind where a helper program keeps them. */
function parseCredential(name: string, value: JsonRecord): Credential | undefined {
  const { username, password, auth, identitytoken } = value
  const identity = typeof identitytoken === 'string' && identitytoken ? { identityToken: identitytoken } : {}
  if (typeof auth === 'string' && auth) {
    const decoded = Buffer.from(auth, 'base64').toString('utf8')
    const colon = decoded.indexOf(':')
    if (colon < 0) throw unreadable(name, 'an "auth" is not the base64 of user:password')
    return { username: decoded.slice(0, colon), password: decoded.slice(colon + 1), ...identity }
  }
  if (typeof username === 'string' && typeof password === 'string') return { username, password, ...identity }
  return 'identityToken' in identity ? { username: '', password: '', ...identity } : undefined
}

function parsePlace(text: string): Place {
  const [host = '', ...path] = text.replace(/^https?:\/\//, '').split('/')
  const rest = path.filter(Boolean).join('/')
  // Docker's own entry for its hub reads https://index.docker.io/v1/.
  if (HUB_NAMES.includes(host)) return { host: 'docker.io', path: /^v[12]$/.test(rest) ? '' : rest }
  return { host: host.toLowerCase(), path: rest }
}

function covers({ host, path }: Place, { registry, repository }: Reference): boolean {
  if (path !== '' && repository !== path && !repository.startsWith(`${path}/`)) return false
  const [name = '', port = ''] = splitPort(registry.toLowerCase())
  const [pattern = '', wantedPort = ''] = splitPort(host)
  if (port !== wantedPort) return false
  const labels = name.split('.')
  const wanted = pattern.split('.')
  return labels.length === wanted.length && wanted.every((each, at) => matches(each, labels[at] ?? ''))
}

/** A star stands for any part of one label, never for a dot. */
function matches(pattern: string, label: string): boolean {
  const [first = '', ...rest] = pattern.split('*')
  if (rest.length === 0) return pattern === label
  const last = rest.pop() ?? ''
  if (!label.startsWith(first) || label.length < first.length + last.length) return false
  let at = first.length
  for (const part of rest) {
    const found = label.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return label.endsWith(last) && at <= label.length - last.length
}

function splitPort(host: string): string[] {
  const found = /^(.*?)(?::(\d+))?$/.exec(host)
  return [found?.[1] ?? host, found?.[2] ?? '']
}

function unreadable(name: string, why: string) {
  return pullFailed(`pull secret "${name}" cannot be read: ${why}`)
}
