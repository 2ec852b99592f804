import { serviceAccountUser } from '../kinds/service-account.ts'
import type { User } from '../auth/access.ts'
import type { Kind } from '../kinds/kind.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { ObjectDatabase } from '../store/sqlite/rows.ts'
import type { ObjectApi } from './api.ts'

/** What the parts that run beside the API are given. */
export interface BackgroundParts {
  api: ObjectApi
  database: ObjectDatabase
  kinds: readonly Kind[]
  clock: Clock
  log: Log
}

/** A part of Kubernetes' own controller manager, as it appears to admission. */
export function systemUser(name: string): User {
  return serviceAccountUser({ namespace: 'kube-system', name })
}
