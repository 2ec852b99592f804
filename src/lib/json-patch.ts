import { formatExact } from './exact-json.ts'
import { applyPatch, type Operation } from 'rfc6902'
import { copyJson, isRecord, isSameJson, setMember } from './json.ts'

const OPERATION_LIMIT = 10_000
/** What all `copy` operations of a patch may add up to; else ten of them make gigabytes. */
const COPIED_CHARACTERS_LIMIT = 3 * 1024 * 1024

/** Why a patch was not applied: it is no patch, it is too large, or one of its steps does not fit. */
export type JsonPatchFault = 'malformed' | 'too-large' | 'failed'

/** A JSON patch was refused as a whole; nothing was changed. */
export class JsonPatchError extends Error {
  readonly fault: JsonPatchFault

  constructor(fault: JsonPatchFault, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'JsonPatchError'
    this.fault = fault
  }
}

interface Target {
  parent: Record<string, unknown> | unknown[]
  token: string
  present: boolean
  /** The pointer with its negative indices made positive. */
  pointer: string
}

/**
 * The document that a JSON patch makes of `document`, which stays as it was.
 *
 * As Kubernetes does: stops at the first step that fails, takes at most 10,000 steps, allows a negative index
 * and the root path. Throws `JsonPatchError`. Source: RFC 6902.
 */
export function applyJsonPatch(document: unknown, operations: unknown): unknown {
  const steps = parseOperations(operations)
  const holder: Record<string, unknown> = { root: copyJson(document) }
  let copied = 0
  for (const [position, step] of steps.entries()) {
    const name = `operation ${position} (${step.op} ${JSON.stringify(step.path)})`
    const settled = settle(holder, step, name)
    if (settled.op === 'copy') {
      copied += formatExact(locate(holder, settled.from, 'read', name).value)?.length ?? 0
      if (copied > COPIED_CHARACTERS_LIMIT) {
        throw new JsonPatchError(
          'too-large',
          `${name} copies more than ${COPIED_CHARACTERS_LIMIT} characters in all`,
        )
      }
    }
    applyStep(holder, settled, name)
  }
  return holder.root
}

function parseOperations(operations: unknown): Operation[] {
  if (!Array.isArray(operations))
    throw new JsonPatchError('malformed', 'a JSON patch is a list of operations')
  if (operations.length > OPERATION_LIMIT) {
    throw new JsonPatchError(
      'too-large',
      `The allowed maximum operations in a JSON patch is ${OPERATION_LIMIT}, got ${operations.length}`,
    )
  }
  return operations.map(parseOperation)
}

const OPERATIONS = ['add', 'remove', 'replace', 'move', 'copy', 'test']

function parseOperation(step: unknown, position: number): Operation {
  const malformed = (what: string) =>
    new JsonPatchError('malformed', `operation ${position} of the JSON patch ${what}`)
  if (!isRecord(step)) throw malformed('is no object')
  const { op, path, from } = step
  if (typeof op !== 'string' || !OPERATIONS.includes(op))
    throw malformed(`has no "op" of ${OPERATIONS.join(', ')}`)
  if (!isPointer(path)) throw malformed('has no "path" that begins with "/"')
  if ((op === 'move' || op === 'copy') && !isPointer(from))
    throw malformed('has no "from" that begins with "/"')
  if (['add', 'replace', 'test'].includes(op) && !('value' in step)) throw malformed('has no "value"')
  // Each member that an operation of this name has was checked above.
  return step as unknown as Operation
}

function isPointer(path: unknown): path is string {
  return typeof path === 'string' && (path === '' || path.startsWith('/'))
}

/** The step with its pointers led into the holder, once it is certain that they lead somewhere. */
function settle(holder: Record<string, unknown>, step: Operation, name: string): Operation {
  switch (step.op) {
    case 'add':
      return { ...step, path: locate(holder, `/root${step.path}`, 'insert', name).pointer }
    case 'move':
    case 'copy':
      return {
        ...step,
        from: locate(holder, `/root${step.from}`, 'read', name).pointer,
        path: locate(holder, `/root${step.path}`, 'insert', name).pointer,
      }
    case 'remove':
      if (step.path === '')
        throw new JsonPatchError('failed', `${name}: the whole document cannot be removed`)
      return { ...step, path: locate(holder, `/root${step.path}`, 'read', name).pointer }
    case 'replace':
      return { ...step, path: locate(holder, `/root${step.path}`, 'read', name).pointer }
    default:
      return { ...step, path: locate(holder, `/root${step.path}`, 'probe', name).pointer }
  }
}

/**
 * Follows a pointer. `read` demands a value at its end, `insert` a place for one, `probe` neither.
 *
 * The package would walk into inherited members, skip some names and write to indices that are none.
 */
function locate(
  holder: Record<string, unknown>,
  pointer: string,
  purpose: 'read' | 'insert' | 'probe',
  name: string,
): Target & { value: unknown } {
  const missing = () =>
    new JsonPatchError(
      'failed',
      `${name}: there is nothing at ${JSON.stringify(pointer.slice('/root'.length))}`,
    )
  const tokens = pointer.slice(1).split('/')
  const path: string[] = []
  let parent: unknown = holder
  for (const [position, token] of tokens.entries()) {
    const isLast = position === tokens.length - 1
    const found = step(parent, token, isLast && purpose === 'insert')
    if (!found || (!found.present && !(isLast && purpose !== 'read'))) {
      if (isLast && purpose === 'probe')
        return { parent: [], token, present: false, pointer, value: undefined }
      throw missing()
    }
    path.push(escape(found.token))
    if (isLast) return { ...found, pointer: `/${path.join('/')}` }
    parent = found.value
  }
  throw missing()
}

type Step = Omit<Target, 'pointer'> & { value: unknown }

function step(parent: unknown, escaped: string, inserting: boolean): Step | undefined {
  const token = escaped.replaceAll('~1', '/').replaceAll('~0', '~')
  if (Array.isArray(parent)) return stepIntoList(parent, token, inserting)
  if (!isRecord(parent) || token === '__proto__') return undefined
  const present = Object.hasOwn(parent, token)
  return { parent, token, present, value: present ? parent[token] : undefined }
}

function stepIntoList(parent: unknown[], token: string, inserting: boolean): Step | undefined {
  if (token === '-') {
    return inserting ? { parent, token: String(parent.length), present: false, value: undefined } : undefined
  }
  if (!/^-?(0|[1-9]\d*)$/.test(token)) return undefined
  const places = inserting ? parent.length + 1 : parent.length
  const index = Number(token) < 0 ? Number(token) + places : Number(token)
  if (index < 0 || index >= places) return undefined
  return { parent, token: String(index), present: index < parent.length, value: parent[index] }
}

function escape(token: string): string {
  return token.replaceAll('~', '~0').replaceAll('/', '~1')
}

function applyStep(holder: Record<string, unknown>, settled: Operation, name: string): void {
  if (settled.op === 'test') {
    // As Kubernetes does: what is absent equals null.
    const { value = null } = locate(holder, settled.path, 'probe', name)
    if (!isSameJson(value, settled.value)) {
      throw new JsonPatchError(
        'failed',
        `${name}: found ${JSON.stringify(value)}, expected ${JSON.stringify(settled.value)}`,
      )
    }
    return
  }
  const value = valueOf(holder, settled, name)
  const op = settled.op === 'replace' ? 'replace' : 'add'
  // The package leaves out members that are called `__proto__`, so it gets a placeholder.
  const [error] = applyPatch(holder, [
    value === undefined ? settled : { op, path: settled.path, value: null },
  ])
  if (error) throw new JsonPatchError('failed', `${name}: ${error.message}`, error)
  if (value === undefined) return
  const { parent, token } = locate(holder, settled.path, 'read', name)
  if (Array.isArray(parent)) parent[Number(token)] = copyJson(value)
  else setMember(parent, token, copyJson(value))
}

/** What a step puts into the document; `undefined` where it puts nothing new there. */
function valueOf(holder: Record<string, unknown>, settled: Operation, name: string): unknown {
  if (settled.op === 'copy') return locate(holder, settled.from, 'read', name).value
  return settled.op === 'add' || settled.op === 'replace' ? settled.value : undefined
}
