import type { ReviewKind } from '../../auth/review-kind.ts'
import type { Kind } from '../../kinds/kind.ts'
import type { Clock } from '../../lib/clock.ts'
import type { ObjectApi } from '../api.ts'
import type { ExtraGroup } from '../discovery/resources.ts'
import type { SchemaSource } from '../openapi/schemas.ts'
import type { HealthCheck } from './health.ts'

/** What `/version` says. Source: `version.Info` in k8s.io/apimachinery. */
export interface VersionInfo {
  major: string
  minor: string
  /** `v` and a semantic version. */
  gitVersion: string
  gitCommit: string
  gitTreeState: string
  buildDate: string
  goVersion: string
  compiler: string
  platform: string
}

/** What the HTTP face of embedded mode's Kubernetes API is put together from. */
export interface KubernetesApiParts {
  api: ObjectApi
  kinds: readonly Kind[]
  /** Kinds that are answered and never stored. */
  reviews: readonly ReviewKind[]
  /** Answers `POST …/serviceaccounts/{name}/token`. */
  requestToken: (namespace: string, name: string, body: unknown) => Promise<unknown>
  version: VersionInfo
  checks: readonly HealthCheck[]
  /** Groups that others serve at this port: discovery and OpenAPI show them, too. */
  extraGroups: readonly ExtraGroup[]
  schemas: SchemaSource
  clock: Pick<Clock, 'now' | 'after'>
  /** A whole number from 0 to below `below`: `randomInt`. */
  random: (below: number) => number
  /** Is told what broke a watch whose answer had begun. */
  onFailure: (error: unknown) => void
}
