import { badRequest, expired, StatusError } from '../../lib/errors.ts'
import type { ObjectDatabase } from '../../store/sqlite/rows.ts'

/** A `resourceVersion` of a request as a number; 0 where it says nothing. Throws 400 where it is none of ours. */
export function parseVersion(text: string): number {
  if (text === '') return 0
  const version = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(version)) {
    throw badRequest(`invalid resource version ${JSON.stringify(text)}: use one that this server gave`)
  }
  return version
}

/** Throws 410 where the changes since this version are no longer kept, and for one that lies in the future. */
export function requireWatchable(database: ObjectDatabase, version: number): void {
  if (version < database.compactedRevision()) {
    throw expired(`too old resource version: ${version} (${database.compactedRevision()}): list again`)
  }
  // Only a database that was put back to an older state is behind its clients. They have to start anew.
  if (version > database.revision()) {
    throw expired(`resource version ${version} is newer than the newest, ${database.revision()}: list again`)
  }
}

/** Throws 410 where the state at this version can no longer be told. */
export function requireReadable(database: ObjectDatabase, version: number): void {
  if (version < database.compactedRevision()) {
    throw expired(
      'The provided continue parameter or resource version is too old to display a consistent list result. Start a new list without it.',
    )
  }
}

/** Throws 504 for a version in the future, in the form that client-go knows. */
export function requireReachable(database: ObjectDatabase, version: number): void {
  const current = database.revision()
  if (version <= current) return
  throw new StatusError(504, 'Timeout', `Too large resource version: ${version}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  })
}
