/**
 * What kube-apiserver says about the requests that it forwards. Source: contract, 2.1 and 2.2; the ConfigMap is written
 * by kube-apiserver from its flags `--requestheader-*`.
 */
import type { X509Certificate } from 'node:crypto'
import type { ConfigMap } from '../../kinds/core.ts'
import { parseBundle } from '../certificate-chain.ts'

/** Where kube-apiserver says it. */
export const TRUST_CONFIGMAP = {
  namespace: 'kube-system',
  name: 'extension-apiserver-authentication',
} as const

const KEYS = {
  authority: 'requestheader-client-ca-file',
  names: 'requestheader-allowed-names',
  user: 'requestheader-username-headers',
  group: 'requestheader-group-headers',
  extra: 'requestheader-extra-headers-prefix',
  uid: 'requestheader-uid-headers',
} as const

/** Names of headers, and beginnings of names; all in lower case. */
export interface HeaderNames {
  user: readonly string[]
  group: readonly string[]
  uid: readonly string[]
  extraPrefixes: readonly string[]
}

/** Who may say on whose behalf a request comes, and how. */
export interface FrontProxyTrust {
  authorities: readonly X509Certificate[]
  /** Common names that may; `any`: whoever has a certificate of these authorities (contract: CE-5). */
  allowedNames: ReadonlySet<string> | 'any'
  headers: HeaderNames
}

/** Nobody can be trusted. The message says what is missing and what to do, and goes to clients and into readiness. */
export class NoTrust extends Error {
  constructor(problem: string, cause?: unknown) {
    super(`no request-header CA: ${problem}`, cause === undefined ? undefined : { cause })
    this.name = 'NoTrust'
  }
}

const PLACE = `ConfigMap ${TRUST_CONFIGMAP.namespace}/${TRUST_CONFIGMAP.name}`
const FLAGS =
  'start kube-apiserver with --requestheader-client-ca-file, --requestheader-allowed-names, ' +
  '--requestheader-username-headers, --requestheader-group-headers, --requestheader-extra-headers-prefix, ' +
  '--proxy-client-cert-file and --proxy-client-key-file'

/** Reads the ConfigMap; `undefined` where there is none. Throws `NoTrust` where it does not say all that is needed. */
export function readTrust(map: Pick<ConfigMap, 'data'> | undefined): FrontProxyTrust {
  if (!map) throw new NoTrust(`${PLACE} does not exist; ${FLAGS}`)
  const data = new Map(Object.entries(map.data ?? {}))
  const authorities = readAuthorities(data.get(KEYS.authority))
  const names = readNames(data, KEYS.names)
  // Without it anybody with a certificate of that authority could be everybody (CVE-2025-64432).
  if (!names) throw new NoTrust(`${PLACE} has no key ${KEYS.names}; ${FLAGS}`)
  return {
    authorities,
    allowedNames: names.length > 0 ? new Set(names) : 'any',
    headers: {
      user: headerNames(data, KEYS.user, 'x-remote-user'),
      group: headerNames(data, KEYS.group, 'x-remote-group'),
      extraPrefixes: headerNames(data, KEYS.extra, 'x-remote-extra-'),
      uid: uidNames(data),
    },
  }
}

function readAuthorities(pem: string | undefined): X509Certificate[] {
  if (!pem) throw new NoTrust(`${PLACE} has no key ${KEYS.authority}; ${FLAGS}`)
  let authorities: X509Certificate[]
  try {
    authorities = parseBundle(pem)
  } catch (error) {
    throw new NoTrust(`${KEYS.authority} of ${PLACE} holds a certificate that cannot be read`, error)
  }
  if (authorities.length === 0) throw new NoTrust(`${KEYS.authority} of ${PLACE} holds no certificate in PEM`)
  return authorities
}

/** A list of texts; `undefined` where the key is absent. */
function readNames(data: ReadonlyMap<string, string>, key: string): string[] | undefined {
  const text = data.get(key)
  if (text === undefined) return undefined
  let list: unknown
  try {
    list = JSON.parse(text)
  } catch (error) {
    throw new NoTrust(`${key} of ${PLACE} is no JSON`, error)
  }
  if (Array.isArray(list) && list.every((name) => typeof name === 'string')) return list
  throw new NoTrust(`${key} of ${PLACE} is no JSON list of texts`)
}

/** Only the configured names count; the usual one where nothing is configured (contract: AU-1, AU-3). */
function headerNames(data: ReadonlyMap<string, string>, key: string, usual: string): string[] {
  const names = (readNames(data, key) ?? [usual]).map((name) => name.trim().toLowerCase())
  // An empty prefix would make every header one of the user's.
  if (names.includes('')) throw new NoTrust(`${key} of ${PLACE} names a header without a name`)
  return names
}

/** kube-apiserver sends the user's UID although by default it does not say under which name (contract: HD-5). */
function uidNames(data: ReadonlyMap<string, string>): string[] {
  const names = headerNames(data, KEYS.uid, 'x-remote-uid')
  return names.length > 0 ? names : ['x-remote-uid']
}
