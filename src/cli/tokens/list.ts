import type { KeptToken } from '../../kinds/join-token.ts'
import { readTokens, type Installation } from './secret.ts'

/** A token as people see it. */
interface ListedToken {
  id: string
  /** `good`: somebody may enrol with it. */
  state: 'good' | 'used' | 'ended' | 'unreadable'
  /** The one node it is for. */
  node?: string
  /** RFC 3339. */
  expires?: string
  /** The node that has enrolled with it. */
  usedBy?: string
}

/** Tells of the tokens there are, those that end last first. */
export async function listTokens(installation: Installation, output: 'text' | 'json'): Promise<string> {
  const { byId } = (await readTokens(installation)) ?? { byId: new Map<string, undefined>() }
  const listed = [...byId]
    .map(([id, kept]) => describe(id, kept, Date.now()))
    .toSorted((one, other) => (other.expires ?? '').localeCompare(one.expires ?? ''))
  return output === 'json' ? `${JSON.stringify(listed, undefined, 2)}\n` : formatTable(listed)
}

function describe(id: string, kept: KeptToken | undefined, nowMs: number): ListedToken {
  if (!kept) return { id, state: 'unreadable' }
  const { node, expires, used } = kept
  const isGood = nowMs < Date.parse(expires)
  return {
    id,
    state: used ? 'used' : isGood ? 'good' : 'ended',
    ...(node !== undefined && { node }),
    expires,
    ...(used && { usedBy: used.node }),
  }
}

function formatTable(tokens: readonly ListedToken[]): string {
  if (tokens.length === 0) return 'There are no join tokens.\n'
  const rows = tokens.map(({ id, node, state, expires, usedBy }) => [
    id,
    node ?? (state === 'unreadable' ? '' : '<any>'),
    usedBy === undefined ? state : `used by ${usedBy}`,
    expires ?? '',
  ])
  const table = [['ID', 'NODE', 'STATE', 'EXPIRES'], ...rows]
  const widths = [0, 1, 2].map((at) => Math.max(...table.map((row) => row[at]?.length ?? 0)))
  return table
    .map(
      (row) =>
        `${row
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join('   ')
          .trimEnd()}\n`,
    )
    .join('')
}
