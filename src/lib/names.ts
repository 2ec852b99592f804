/**
 * Spelling rules for names, labels and annotations. Each check answers what is wrong, or nothing.
 * Source: `k8s.io/apimachinery/pkg/util/validation`.
 */

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const QUALIFIED = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/
const LABEL_VALUE = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/

const TOO_LONG = (limit: number) => `must be no more than ${limit} characters`
const LABEL_RULE =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name')"
const SUBDOMAIN_RULE =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com')"
const QUALIFIED_RULE =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'my-name')"
const LABEL_VALUE_RULE =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'my-value')"

/** What a name may be checked by. */
export type NameCheck = (text: string) => string[]

function check(text: string, limit: number, pattern: RegExp, rule: string): string[] {
  const found: string[] = []
  if (Buffer.byteLength(text) > limit) found.push(TOO_LONG(limit))
  if (!pattern.test(text)) found.push(rule)
  return found
}

/** What keeps `text` from being an RFC 1123 label, such as the name of a namespace. Contract: PRIM-001. */
export function checkDns1123Label(text: string): string[] {
  return check(text, 63, LABEL, LABEL_RULE)
}

/** What keeps `text` from being an RFC 1123 subdomain, such as most names. Contract: PRIM-002. */
export function checkDns1123Subdomain(text: string): string[] {
  return check(text, 253, SUBDOMAIN, SUBDOMAIN_RULE)
}

/** What keeps `text` from standing as one segment of a path; RBAC names may be anything else. */
export function checkPathSegment(text: string): string[] {
  if (text === '.' || text === '..') return [`may not be '${text}'`]
  return ['/', '%'].filter((part) => text.includes(part)).map((part) => `may not contain '${part}'`)
}

/** What keeps `text` from being a label key, annotation key or finalizer. Contract: PRIM-003. */
export function checkQualifiedName(text: string): string[] {
  const parts = text.split('/')
  const name = parts.pop() ?? ''
  if (parts.length > 1)
    return ['a qualified name must consist of a name with an optional DNS subdomain prefix']
  const found: string[] = []
  const [prefix] = parts
  if (prefix === '') found.push('prefix part must be non-empty')
  else if (prefix) found.push(...checkDns1123Subdomain(prefix).map((text) => `prefix part ${text}`))
  if (name === '') found.push('name part must be non-empty')
  else if (name.length > 63) found.push(`name part ${TOO_LONG(63)}`)
  if (!QUALIFIED.test(name)) found.push(QUALIFIED_RULE)
  return found
}

/** What keeps `text` from being the value of a label. Contract: PRIM-004. */
export function checkLabelValue(text: string): string[] {
  return check(text, 63, LABEL_VALUE, LABEL_VALUE_RULE)
}

/** Whether `text` is an RFC 1123 label. */
export function isDns1123Label(text: string): boolean {
  return checkDns1123Label(text).length === 0
}

/** Whether `text` is an RFC 1123 subdomain. */
export function isDns1123Subdomain(text: string): boolean {
  return checkDns1123Subdomain(text).length === 0
}

/** Characters of generated suffixes: no vowels, so no words; nothing that looks like something else. */
const SUFFIX_ALPHABET = 'bcdfghjklmnpqrstvwxz2456789'
const SUFFIX_LENGTH = 5
const GENERATED_BASE_LIMIT = 63 - SUFFIX_LENGTH

/**
 * A name from a `generateName`: its first 58 characters and five random ones.
 *
 * `random` answers a whole number from 0 to below its argument.
 * Source: `k8s.io/apiserver/pkg/storage/names`.
 */
export function generateName(base: string, random: (below: number) => number): string {
  const suffix = Array.from({ length: SUFFIX_LENGTH }, () => SUFFIX_ALPHABET[random(SUFFIX_ALPHABET.length)])
  return base.slice(0, GENERATED_BASE_LIMIT) + suffix.join('')
}
