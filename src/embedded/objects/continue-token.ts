import { badRequest } from '../../lib/errors.ts'
import { isRecord } from '../../lib/json.ts'

/** Where the next page of a list begins, and the version that all its pages show. */
export interface Continuation {
  revision: number
  namespace: string
  name: string
}

/** The token that clients hand back for the next page. */
export function formatContinue({ revision, namespace, name }: Continuation): string {
  return Buffer.from(JSON.stringify({ v: 1, rv: revision, ns: namespace, name })).toString('base64url')
}

/** What a token says. Throws 400 where it is none of ours. */
export function parseContinue(token: string): Continuation {
  const { v, rv, ns, name } = decode(token)
  if (
    v !== 1 ||
    typeof rv !== 'number' ||
    !Number.isSafeInteger(rv) ||
    typeof ns !== 'string' ||
    typeof name !== 'string'
  ) {
    throw notOurs()
  }
  return { revision: rv, namespace: ns, name }
}

function notOurs() {
  return badRequest(
    'continue key is not valid: hand back the one of the page before, or start a new list without it',
  )
}

function decode(token: string): Record<string, unknown> {
  try {
    const decoded: unknown = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'))
    return isRecord(decoded) ? decoded : {}
  } catch {
    throw notOurs()
  }
}
