/**
 * Query parameters of the Kubernetes API. A parameter that is not known is ignored, as kube-apiserver does; one that
 * is known and makes no sense is refused with 400.
 */
import { badRequest } from '../../lib/errors.ts'
import type { DeleteOptions, Selection } from '../../store/store.ts'
import type { ListOptions, WatchOptions, WriteContext } from '../api.ts'

/** Parameters as Fastify parses them. */
export type RawQuery = Readonly<Record<string, unknown>>

/** The first value of a parameter. */
export function readText(query: RawQuery, name: string): string | undefined {
  const value = query[name]
  const first: unknown = Array.isArray(value) ? value[0] : value
  return typeof first === 'string' ? first : undefined
}

function wrong(name: string, value: string, hint: string) {
  return badRequest(`invalid value ${JSON.stringify(value)} of the query parameter ${name}: ${hint}`)
}

function readWhole(query: RawQuery, name: string): number | undefined {
  const text = readText(query, name)
  if (text === undefined || text === '') return undefined
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw wrong(name, text, 'it must be a whole number, 0 or more')
  return value
}

/** A switch: present without a value means yes. */
export function readFlag(query: RawQuery, name: string): boolean | undefined {
  const text = readText(query, name)
  if (text === undefined) return undefined
  if (['', '1', 't', 'true'].includes(text.toLowerCase())) return true
  if (['0', 'f', 'false'].includes(text.toLowerCase())) return false
  throw wrong(name, text, 'it must be true or false')
}

function readWord<T extends string>(query: RawQuery, name: string, words: readonly T[]): T | undefined {
  const text = readText(query, name)
  if (text === undefined || text === '') return undefined
  const word = words.find((known) => known === text)
  if (word === undefined) throw wrong(name, text, `it must be one of ${words.join(', ')}`)
  return word
}

function readVersion(query: RawQuery): string | undefined {
  const text = readText(query, 'resourceVersion')
  if (text !== undefined && !/^\d*$/.test(text)) {
    throw wrong('resourceVersion', text, 'hand back the version that a list or an object gave')
  }
  return text
}

const MATCHES = ['Exact', 'NotOlderThan'] as const

/** What narrows a list, a watch or a deletion of many. `namespace` comes from the route; '' means all. */
export function readSelection(query: RawQuery, namespace: string): Selection {
  const labelSelector = readText(query, 'labelSelector')
  const fieldSelector = readText(query, 'fieldSelector')
  return {
    ...(namespace && { namespace }),
    ...(labelSelector && { labelSelector }),
    ...(fieldSelector && { fieldSelector }),
  }
}

/** Options of a list. */
export function readListOptions(query: RawQuery, namespace: string): ListOptions {
  const limit = readWhole(query, 'limit')
  const token = readText(query, 'continue')
  const resourceVersion = readVersion(query)
  const resourceVersionMatch = readWord(query, 'resourceVersionMatch', MATCHES)
  if (readFlag(query, 'sendInitialEvents') !== undefined) {
    throw badRequest('sendInitialEvents is forbidden for list: it is for watch=true')
  }
  if (resourceVersionMatch && !resourceVersion) {
    throw badRequest('resourceVersionMatch is forbidden unless resourceVersion is provided')
  }
  if (resourceVersionMatch && token) {
    throw badRequest('resourceVersionMatch is forbidden when continue is provided')
  }
  if (resourceVersionMatch === 'Exact' && resourceVersion === '0') {
    throw badRequest('resourceVersionMatch "Exact" is forbidden for resourceVersion "0"')
  }
  return {
    ...readSelection(query, namespace),
    ...(limit !== undefined && { limit }),
    ...(token && { continue: token }),
    ...(resourceVersion !== undefined && { resourceVersion }),
    ...(resourceVersionMatch && { resourceVersionMatch }),
  }
}

/** Options of a watch, and how many seconds it may last where the client says. */
export interface WatchQuery {
  options: WatchOptions
  timeoutSeconds: number | undefined
}

/** Options of a watch. */
export function readWatchOptions(query: RawQuery, namespace: string): WatchQuery {
  const match = readWord(query, 'resourceVersionMatch', MATCHES)
  const sendInitialEvents = readFlag(query, 'sendInitialEvents')
  const allowWatchBookmarks = readFlag(query, 'allowWatchBookmarks')
  if (sendInitialEvents !== undefined && match !== 'NotOlderThan') {
    throw badRequest('sendInitialEvents requires resourceVersionMatch to be NotOlderThan')
  }
  if (sendInitialEvents === undefined && match) {
    throw badRequest('resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided')
  }
  return {
    options: {
      ...readSelection(query, namespace),
      resourceVersion: readVersion(query) ?? '',
      ...(allowWatchBookmarks !== undefined && { allowWatchBookmarks }),
      ...(sendInitialEvents !== undefined && { sendInitialEvents }),
    },
    timeoutSeconds: readWhole(query, 'timeoutSeconds'),
  }
}

/** Whether nothing is to be stored. `All` is the only way to say so. */
export function readDryRun(query: RawQuery): boolean {
  const values = [query['dryRun']].flat().filter((value) => value !== undefined && value !== '')
  for (const value of values) if (value !== 'All') throw wrong('dryRun', String(value), 'it must be All')
  return values.length > 0
}

const VALIDATIONS = ['Ignore', 'Warn', 'Strict'] as const
const MANAGER_LIMIT = 128
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/u

/** How a write is to be done. */
export function readWriteOptions(
  query: RawQuery,
): Pick<WriteContext, 'dryRun' | 'fieldValidation' | 'fieldManager'> {
  const fieldValidation = readWord(query, 'fieldValidation', VALIDATIONS) ?? 'Warn'
  const fieldManager = readText(query, 'fieldManager')
  if (fieldManager && (fieldManager.length > MANAGER_LIMIT || UNPRINTABLE.test(fieldManager))) {
    throw wrong('fieldManager', fieldManager, `it must be up to ${MANAGER_LIMIT} printable characters`)
  }
  return { dryRun: readDryRun(query), fieldValidation, ...(fieldManager && { fieldManager }) }
}

const POLICIES = ['Background', 'Foreground', 'Orphan'] as const

/** Options of a delete where there is no body. */
export function readDeleteOptions(query: RawQuery): DeleteOptions {
  const gracePeriodSeconds = readWhole(query, 'gracePeriodSeconds')
  const policy = readWord(query, 'propagationPolicy', POLICIES)
  const orphan = readFlag(query, 'orphanDependents')
  const propagationPolicy = choosePolicy(policy, orphan)
  return {
    dryRun: readDryRun(query),
    ...(gracePeriodSeconds !== undefined && { gracePeriodSeconds }),
    ...(propagationPolicy && { propagationPolicy }),
  }
}

/** The policy that two ways to say it come to. Throws 400 where both are used. */
export function choosePolicy(
  policy: DeleteOptions['propagationPolicy'],
  orphan: boolean | undefined,
): DeleteOptions['propagationPolicy'] {
  if (orphan === undefined) return policy
  if (policy) throw badRequest('orphanDependents and propagationPolicy cannot be both set')
  return orphan ? 'Orphan' : 'Background'
}
