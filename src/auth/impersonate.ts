/**
 * Acting as somebody else.
 * Source: "User impersonation" in the Kubernetes documentation, and `k8s.io/apiserver/pkg/endpoints/filters`.
 */
import { badRequest } from '../lib/errors.ts'
import type { Authorizer, ResourceAttributes, User } from './access.ts'
import { authorize } from './denied.ts'
import { parseServiceAccount, serviceAccountGroups } from '../kinds/service-account.ts'
import { ANONYMOUS, UNAUTHENTICATED, withAuthenticatedGroup } from './names.ts'

const USER = 'impersonate-user'
const GROUP = 'impersonate-group'
const UID = 'impersonate-uid'
const EXTRA = 'impersonate-extra-'
const PREFIX = 'impersonate-'

/**
 * Who the request is to be done as: `user`, unless `Impersonate-*` headers name somebody else whom `user` may
 * impersonate. `rawHeaders` are names and values in turn, as Node gives them. Throws 403 where `user` may not, and 400
 * where the headers make no sense; they are never passed over.
 */
export async function impersonate(
  user: User,
  rawHeaders: readonly string[],
  authorizer: Authorizer,
  signal?: AbortSignal,
): Promise<User> {
  const wanted = readWanted(rawHeaders)
  if (!wanted) return user
  for (const attributes of rightsFor(wanted)) await authorize(authorizer, user, attributes, signal)
  return complete(wanted)
}

function readWanted(rawHeaders: readonly string[]): User | undefined {
  const lines = impersonateLines(rawHeaders)
  if (lines.length === 0) return undefined
  const valuesOf = (name: string) => lines.filter((line) => line.name === name).map(({ value }) => value)
  const unknown = lines.find(({ name }) => ![USER, GROUP, UID].includes(name) && !name.startsWith(EXTRA))
  if (unknown) throw badRequest(`the header ${JSON.stringify(unknown.name)} is not known`)
  const [name, ...more] = valuesOf(USER)
  const [uid, ...moreUids] = valuesOf(UID)
  if (!name) throw badRequest('Impersonate-Group, -Uid and -Extra need Impersonate-User beside them')
  if (more.length > 0 || moreUids.length > 0) {
    throw badRequest('Impersonate-User and Impersonate-Uid can be given once')
  }
  const extra = readExtra(lines)
  return {
    name,
    groups: valuesOf(GROUP),
    ...(uid && { uid }),
    ...(Object.keys(extra).length > 0 && { extra }),
  }
}

interface Line {
  /** In lower case. */
  name: string
  value: string
}

function impersonateLines(rawHeaders: readonly string[]): Line[] {
  const lines: Line[] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? '').toLowerCase()
    if (name.startsWith(PREFIX)) lines.push({ name, value: rawHeaders[i + 1] ?? '' })
  }
  return lines
}

function readExtra(lines: readonly Line[]): Record<string, string[]> {
  // Keys come from outside: one of them may be called `__proto__`.
  const extra: Record<string, string[]> = Object.create(null)
  for (const { name, value } of lines) {
    if (!name.startsWith(EXTRA)) continue
    const key = decode(name.slice(EXTRA.length)).toLowerCase()
    const values = (extra[key] ??= [])
    values.push(value)
  }
  return extra
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // As kube-apiserver does: a key that is no percent encoding stands for itself.
    return text
  }
}

/** One right for each thing that is taken over. */
function* rightsFor({ name, groups, uid, extra = {} }: User): Iterable<ResourceAttributes> {
  const account = parseServiceAccount(name)
  if (account) yield right('', 'serviceaccounts', account.name, { namespace: account.namespace })
  else yield right('', 'users', name)
  for (const group of groups) yield right('', 'groups', group)
  if (uid) yield right('authentication.k8s.io', 'uids', uid)
  for (const [key, values] of Object.entries(extra)) {
    for (const value of values)
      yield right('authentication.k8s.io', 'userextras', value, { subresource: key })
  }
}

function right(
  group: string,
  resource: string,
  name: string,
  more: { namespace?: string; subresource?: string } = {},
): ResourceAttributes {
  return { kind: 'resource', verb: 'impersonate', group, version: 'v1', resource, name, ...more }
}

/** The groups that go with a name. */
function complete(wanted: User): User {
  if (wanted.name === ANONYMOUS) {
    const groups = new Set([...wanted.groups, UNAUTHENTICATED])
    return { ...wanted, groups: [...groups] }
  }
  const account = parseServiceAccount(wanted.name)
  const groups =
    wanted.groups.length === 0 && account ? serviceAccountGroups(account.namespace) : wanted.groups
  return withAuthenticatedGroup({ ...wanted, groups })
}
