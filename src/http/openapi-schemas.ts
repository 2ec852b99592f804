import type { FieldTypes } from '../subresources/body.ts'
import type { Action, Subresource } from '../subresources/subresource.ts'
import { GROUP } from './group.ts'
import { KIND_SCHEMAS, STATUS_SCHEMA, type Json } from './kind-schemas.ts'

/** Names of schemas that are of no subresource. */
export const STATUS_NAME = 'io.k8s.apimachinery.pkg.apis.meta.v1.Status'
const TICKET_KIND = 'StreamTicket'

const FIELD_SCHEMAS: Record<keyof FieldTypes, Json> = {
  boolean: { type: 'boolean' },
  string: { type: 'string' },
  strings: { type: 'array', items: { type: 'string' } },
  integer: { type: 'integer', format: 'int64' },
  object: { type: 'object' },
  objects: { type: 'array', items: { type: 'object' } },
}

/** The name of the schema of a subresource's kind. */
export function schemaName(version: string, { kind, kindGroup }: Subresource): string {
  return `${kindGroup?.version ?? version}.${kind}`
}

/** The name of the schema of tickets. */
export function ticketName(version: string): string {
  return `${version}.${TICKET_KIND}`
}

/** Group, version and kind of what a subresource takes or gives. */
export function groupVersionKind(version: string, { kind, kindGroup }: Subresource): Json {
  return {
    ...(kindGroup ? { group: kindGroup.group, version: kindGroup.version } : { group: GROUP, version }),
    kind,
  }
}

/** Whether an action answers with an object of its kind: one that takes such an object does. */
export function answersWithKind(action: Action): boolean {
  return action.kindGroup !== undefined && action.fields === undefined
}

/** All schemas that the operations refer to. */
export function buildSchemas(version: string, subresources: readonly Subresource[]): Json {
  const schemas: Json = { [STATUS_NAME]: STATUS_SCHEMA }
  for (const subresource of subresources) {
    // What streams and downloads are asked for stands in the query.
    if (subresource.type === 'stream') schemas[ticketName(version)] = ticketSchema(version)
    if (subresource.type === 'stream' || subresource.type === 'download') continue
    schemas[schemaName(version, subresource)] = schemaOf(version, subresource)
  }
  return schemas
}

function ticketSchema(version: string): Json {
  const kind = { group: GROUP, version, kind: TICKET_KIND }
  return { ...KIND_SCHEMAS[TICKET_KIND], 'x-kubernetes-group-version-kind': [kind] }
}

function schemaOf(version: string, subresource: Exclude<Subresource, { type: 'stream' | 'download' }>): Json {
  const known = KIND_SCHEMAS[subresource.kind] ?? {}
  // Fields of a query are of its options, not of what it answers.
  const fields = subresource.type === 'action' ? (subresource.fields ?? {}) : {}
  return {
    type: 'object',
    description: `${subresource.type === 'action' ? 'Taken' : 'Given'} by ${subresource.name}.`,
    ...known,
    properties: { ...propertiesOf(fields), ...propertiesIn(known) },
    'x-kubernetes-group-version-kind': [groupVersionKind(version, subresource)],
  }
}

function propertiesOf(fields: Readonly<Record<string, keyof FieldTypes>>): Json {
  return Object.fromEntries(Object.entries(fields).map(([name, type]) => [name, FIELD_SCHEMAS[type]]))
}

function propertiesIn({ properties }: Json): object {
  return typeof properties === 'object' && properties !== null ? properties : {}
}
