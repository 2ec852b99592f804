import { randomInt, randomUUID } from 'node:crypto'
import type { Admission } from '../../src/admission/admission.ts'
import type { ShapeChecker, WriteContext } from '../../src/embedded/api.ts'
import { buildRegistry, type RegistryParts } from '../../src/embedded/registry.ts'
import { createSystemNamespaces } from '../../src/embedded/namespaces.ts'
import { KINDS } from '../../src/kinds/table.ts'
import { systemClock } from '../../src/lib/clock.ts'
import type { Log } from '../../src/lib/log.ts'
import { openObjectDatabase } from '../../src/store/sqlite/open.ts'

/** An administrator. */
export const ADMIN = { name: 'admin', groups: ['system:masters', 'system:authenticated'] }

/** How a test writes; `warnings` is fresh. */
export function asAdmin(context: Partial<WriteContext> = {}): WriteContext {
  return { user: ADMIN, warnings: [], ...context }
}

/** Knows every field. */
export const anyShape: ShapeChecker = {
  check: () => ({ causes: [], unknownFields: [] }),
  prune: (_kind, object) => object,
}

/** Admits everything as it is. */
export const anyObject: Admission = {
  review: async ({ object }) => ({ object, warnings: [] }),
}

/** Says nothing. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} }

/** A registry on a database in memory, with its namespaces; close it with `using`. */
export async function openRegistry(overrides: Partial<RegistryParts> = {}) {
  const clock = overrides.clock ?? systemClock
  const database = overrides.database ?? openObjectDatabase({ file: ':memory:', clock })
  const parts: RegistryParts = {
    database,
    kinds: KINDS,
    admission: anyObject,
    shapes: anyShape,
    clock,
    newUid: randomUUID,
    random: (below) => randomInt(below),
    ...overrides,
  }
  const api = buildRegistry(parts)
  await createSystemNamespaces(api.as(ADMIN))
  return {
    api,
    database,
    parts,
    background: { api, database, kinds: parts.kinds, clock, log: silentLog },
    [Symbol.dispose]() {
      api[Symbol.dispose]()
      database[Symbol.dispose]()
    },
  }
}

/** Waits until `holds` answers something other than undefined or false. Throws after five seconds. */
export async function until<T>(
  holds: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const deadline = Date.now() + 5000
  for (;;) {
    const found = await holds()
    if (found !== undefined && found !== false) return found
    if (Date.now() > deadline) throw new Error('waited five seconds in vain')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
