import type { Column } from '../../kinds/kind.ts'
import type { KubeObject } from '../../kinds/meta.ts'
import { formatDuration } from '../../lib/human-duration.ts'
import { isRecord } from '../../lib/json.ts'
import { findFirst, parseJsonPath } from '../../lib/jsonpath.ts'

/** A cell as it goes over the wire; `null` is shown as nothing. */
export type Cell = string | number | boolean | null

/** One column of a table that the server prints. */
export interface TableColumn<T extends KubeObject = KubeObject> {
  name: string
  type: Column['type']
  format: string
  description: string
  /** Above 0: shown by `-o wide` only. */
  priority: number
  /** What the column shows of an object at a time, in milliseconds since 1970. */
  cell: (object: T, now: number) => Cell
}

/** How long ago a time was, as kubectl shows it; `<unknown>` where there is none. */
export function ageOf(time: unknown, now: number): string {
  const at = typeof time === 'string' ? Date.parse(time) : NaN
  return Number.isNaN(at) ? '<unknown>' : formatDuration(now - at)
}

/** A column that an object's own members fill. */
export function pathColumn({ name, type, jsonPath, description, priority = 0 }: Column): TableColumn {
  const path = parseJsonPath(jsonPath)
  return {
    name,
    type,
    format: '',
    description: description ?? `Custom resource definition column (in JSONPath format): ${jsonPath}`,
    priority,
    cell: (object, now) => cellOf(type, findFirst(path, object), now),
  }
}

/** Source: `cellForJSONValue` in `k8s.io/apiextensions-apiserver/pkg/registry/customresource/tableconvertor`. */
function cellOf(type: Column['type'], value: unknown, now: number): Cell {
  if (value === undefined || value === null) return null
  switch (type) {
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null
    case 'number':
      return typeof value === 'number' ? value : null
    case 'boolean':
      return typeof value === 'boolean' ? value : null
    case 'date':
      return typeof value === 'string' ? ageOrInvalid(value, now) : null
    default:
      return textOf(value)
  }
}

function ageOrInvalid(value: string, now: number): string {
  return Number.isNaN(Date.parse(value)) ? '<invalid>' : ageOf(value, now)
}

function textOf(value: unknown): string {
  return Array.isArray(value) || isRecord(value) ? JSON.stringify(value) : String(value)
}
