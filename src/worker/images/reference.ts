import { rejected } from './error.ts'

/** A parsed image reference. */
export interface Reference {
  /** Host with an optional port, `docker.io` where none was written. */
  registry: string
  /** Path below the registry, such as `library/debian`. */
  repository: string
  /** Absent only where there is a digest. */
  tag?: string
  /** `sha256:…`; it decides where there is a tag as well. */
  digest?: string
  /** The whole, with all that was left out filled in. */
  name: string
}

/** When to ask the registry, as in a container's `imagePullPolicy`. */
export type PullPolicy = 'Always' | 'IfNotPresent' | 'Never'

/** Images below this name are made on the machine; no registry is ever asked for them. */
export const RESERVED_REGISTRY = 'virtgate.local'

const DEFAULT_REGISTRY = 'docker.io'
const HOST = /^(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?$/
const COMPONENT = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/
const TAG = /^\w[\w.-]{0,127}$/
const DIGEST = /^sha256:[0-9a-f]{64}$/
const NAME_LIMIT = 255

/**
 * Reads an image reference such as `quay.io/team/image:tag@sha256:…`.
 *
 * Throws `ImageError` with reason `ImageRejected`.
 * Source: the grammar in `reference/regexp.go` of the distribution project.
 */
export function parseReference(text: string): Reference {
  const [left = '', digest, ...more] = text.split('@')
  if (more.length > 0) throw malformed(text, 'it has more than one @')
  if (digest !== undefined && !DIGEST.test(digest)) {
    throw malformed(text, 'the part after @ has to be sha256: and 64 lower-case hexadecimal digits')
  }
  const { path, tag } = splitTag(left)
  if (tag !== undefined && !TAG.test(tag)) throw malformed(text, `"${tag}" is no tag`)
  const { registry, repository } = splitRegistry(path)
  if (!isHost(registry)) throw malformed(text, `"${registry}" is no host name`)
  if (!repository.split('/').every((part) => COMPONENT.test(part))) {
    throw malformed(
      text,
      'a name is lower-case letters and digits, with . _ - between them and / between parts',
    )
  }
  if (registry.length + repository.length >= NAME_LIMIT)
    throw malformed(text, `it is over ${NAME_LIMIT} long`)
  return complete({ registry, repository, tag, digest })
}

/** The policy where a spec names none. Source: "Default image pull policy" in the Kubernetes documentation. */
export function defaultPolicy({ tag, digest }: Reference): PullPolicy {
  return digest === undefined && tag === 'latest' ? 'Always' : 'IfNotPresent'
}

/** Whether it is a host that a URL takes as it is written: not `0x7f.1`, say, which means 127.0.0.1 there. */
function isHost(text: string): boolean {
  if (!HOST.test(text) || !URL.canParse(`https://${text}/`)) return false
  const { hostname } = new URL(`https://${text}/`)
  return hostname === text.toLowerCase().replace(/:\d+$/, '')
}

function splitTag(text: string): { path: string; tag?: string } {
  const colon = text.lastIndexOf(':')
  if (colon < 0 || text.includes('/', colon)) return { path: text }
  return { path: text.slice(0, colon), tag: text.slice(colon + 1) }
}

function splitRegistry(path: string): { registry: string; repository: string } {
  const slash = path.indexOf('/')
  const first = path.slice(0, Math.max(slash, 0))
  const hasHost = first === 'localhost' || /[.:A-Z]/.test(first)
  const registry = hasHost ? first : DEFAULT_REGISTRY
  const repository = hasHost ? path.slice(slash + 1) : path
  if (registry !== DEFAULT_REGISTRY && registry !== `index.${DEFAULT_REGISTRY}`)
    return { registry, repository }
  const short = !repository.includes('/')
  return { registry: DEFAULT_REGISTRY, repository: short ? `library/${repository}` : repository }
}

interface Parts {
  registry: string
  repository: string
  tag: string | undefined
  digest: string | undefined
}

function complete({ registry, repository, tag, digest }: Parts): Reference {
  const known = tag ?? (digest === undefined ? 'latest' : undefined)
  return {
    registry,
    repository,
    ...(known !== undefined && { tag: known }),
    ...(digest !== undefined && { digest }),
    name: `${registry}/${repository}${known === undefined ? '' : `:${known}`}${digest === undefined ? '' : `@${digest}`}`,
  }
}

function malformed(text: string, why: string) {
  const shown = JSON.stringify(text.length > 300 ? `${text.slice(0, 300)}…` : text)
  return rejected(
    `${shown} is no image reference: ${why}. Write it as registry/name:tag or registry/name@sha256:…`,
  )
}

/** Whether an image of that full name is made on this machine. */
export function isReserved(name: string): boolean {
  return name.startsWith(`${RESERVED_REGISTRY}/`)
}
