import type { Kind } from '../../kinds/kind.ts'
import type { KubeObject, ObjectMeta } from '../../kinds/meta.ts'
import { AGE, BUILT_IN_COLUMNS } from './built-in.ts'
import { pathColumn, type Cell, type TableColumn } from './column.ts'

/** What stands in a row beside its cells. */
export type IncludeObject = 'None' | 'Metadata' | 'Object'

/** A `meta.k8s.io` Table: what the server prints for `kubectl get`. */
export interface Table {
  kind: 'Table'
  apiVersion: string
  metadata: ListMeta
  columnDefinitions?: ColumnDefinition[]
  rows: { cells: Cell[]; object: unknown }[]
}

/** What a list says about itself. */
export interface ListMeta {
  resourceVersion?: string
  continue?: string
  remainingItemCount?: number
}

type ColumnDefinition = Omit<TableColumn, 'cell'>

/** How tables are made of objects of one kind. */
export interface TablePrinter {
  print: (objects: readonly KubeObject[], metadata: ListMeta, options: PrintOptions) => Table
}

/** What a client says about the table it wants. */
export interface PrintOptions {
  /** Of `meta.k8s.io`. */
  version: string
  includeObject: IncludeObject
  /** Leaves the definitions of the columns out: they were sent before. */
  noHeaders?: boolean
  /** Milliseconds since 1970: what ages are counted from. */
  now: number
}

const NAME: TableColumn = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Name must be unique within a namespace.',
  priority: 0,
  cell: ({ metadata }) => metadata.name,
}

const CREATION = '.metadata.creationTimestamp'

/** All columns of a kind: NAME first, AGE last where nothing else tells it. */
export function columnsOf(kind: Kind): TableColumn[] {
  const builtIn = BUILT_IN_COLUMNS.get(kind)
  // Events have no use for their names in the first place.
  if (builtIn) return builtIn.some(({ name }) => name === 'Name') ? builtIn : [NAME, ...builtIn]
  const showsAge = kind.columns.some(({ jsonPath }) => jsonPath === CREATION)
  return [NAME, ...kind.columns.map(pathColumn), ...(showsAge ? [] : [AGE])]
}

/** A printer for one kind. */
export function buildPrinter(kind: Kind): TablePrinter {
  const columns = columnsOf(kind)
  const columnDefinitions = columns.map(({ cell: _cell, ...definition }) => definition)
  return {
    print(objects, metadata, { version, includeObject, noHeaders = false, now }) {
      return {
        kind: 'Table',
        apiVersion: `meta.k8s.io/${version}`,
        metadata,
        ...(!noHeaders && { columnDefinitions }),
        rows: objects.map((object) => ({
          cells: columns.map((column) => column.cell(object, now)),
          object: partOf(object, includeObject, version),
        })),
      }
    },
  }
}

function partOf(object: KubeObject, includeObject: IncludeObject, version: string): unknown {
  if (includeObject === 'None') return null
  return includeObject === 'Object' ? object : toPartial(object, version)
}

/** An object of which only the metadata is told. Source: `metav1.PartialObjectMetadata`. */
export function toPartial(
  { metadata }: KubeObject,
  version: string,
): { kind: 'PartialObjectMetadata'; apiVersion: string; metadata: ObjectMeta } {
  return { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}`, metadata }
}
