import type { Column, Kind } from '../../src/kinds/kind.ts'
import { KINDS, VM_POOLS, VMIRS } from '../../src/kinds/table.ts'
import type { Definitions } from '../../src/lib/schema/schema.ts'
import type { Manifest } from '../manifest.ts'
import { buildStructural, type StructuralSchema } from './structural.ts'

/** `apiextensions.k8s.io/v1` CustomResourceDefinition, as far as we use it. */
export interface CustomResourceDefinition extends Manifest {
  spec: {
    group: string
    scope: 'Cluster' | 'Namespaced'
    names: {
      kind: string
      listKind: string
      plural: string
      singular: string
      shortNames?: string[]
      categories?: string[]
    }
    versions: {
      name: string
      served: true
      storage: true
      schema: { openAPIV3Schema: StructuralSchema }
      subresources?: { status?: object; scale?: typeof SCALE }
      additionalPrinterColumns: Column[]
    }[]
  }
}

/** Kinds whose number of guests `kubectl scale` and autoscalers set. */
const SCALED: readonly Kind[] = [VMIRS, VM_POOLS]

/** Where such kinds keep it. Source: the `scale` subresource of KubeVirt's own definitions. */
const SCALE = {
  specReplicasPath: '.spec.replicas',
  statusReplicasPath: '.status.replicas',
  labelSelectorPath: '.status.labelSelector',
}

const AGE: Column = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' }

/** The definitions of all kinds that Kubernetes does not have itself. */
export function buildCrds(definitions: Definitions): CustomResourceDefinition[] {
  return KINDS.filter(({ builtIn }) => !builtIn).map((kind) => buildCrd(kind, definitions))
}

function buildCrd(kind: Kind, definitions: Definitions): CustomResourceDefinition {
  const { group, version, plural, singular, shortNames, categories, namespaced } = kind
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}`, labels: { 'kubevirt.io': '' } },
    spec: {
      group,
      scope: namespaced ? 'Namespaced' : 'Cluster',
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural,
        singular,
        ...(shortNames && { shortNames: [...shortNames] }),
        ...(categories && { categories: [...categories] }),
      },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: buildStructural(definitions, kind.schema) },
          ...subresourcesOf(kind),
          additionalPrinterColumns: columnsOf(kind),
        },
      ],
    },
  }
}

function subresourcesOf(kind: Kind): { subresources?: { status?: object; scale?: typeof SCALE } } {
  const isScaled = SCALED.includes(kind)
  if (!kind.hasStatus && !isScaled) return {}
  return { subresources: { ...(kind.hasStatus && { status: {} }), ...(isScaled && { scale: SCALE }) } }
}

/** As in embedded mode: the age comes last where no column tells it. */
function columnsOf({ columns }: Kind): Column[] {
  return columns.some(({ jsonPath }) => jsonPath === AGE.jsonPath) ? [...columns] : [...columns, AGE]
}
