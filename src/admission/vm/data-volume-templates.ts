import type { VmSpec } from '../../kinds/kubevirt.ts'
import { invalidValue, requiredValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'

type Template = NonNullable<VmSpec['dataVolumeTemplates']>[number]

const SOURCES = [
  'http',
  's3',
  'gcs',
  'registry',
  'pvc',
  'upload',
  'blank',
  'imageio',
  'vddk',
  'snapshot',
] as const

/** DataVolumes are described fully and used. Contract: VM-DVT-001 … 008. */
export function dataVolumeTemplatesAreSound(spec: VmSpec, at: FieldPath): Cause[] {
  const used = new Set(
    (spec.template.spec.volumes ?? []).flatMap((volume) => [
      volume.persistentVolumeClaim?.claimName,
      volume.dataVolume?.name,
    ]),
  )
  const causes: Cause[] = []
  for (const [position, template] of (spec.dataVolumeTemplates ?? []).entries()) {
    // The contract's path has the singular.
    const field = at.child('dataVolumeTemplate').index(position)
    const problem = findProblem(template, field)
    const name = template.metadata?.name
    if (problem) causes.push(problem)
    else if (!used.has(name)) causes.push(requiredValue(field, `no volume uses the DataVolume "${name}"`))
  }
  return causes
}

function findProblem({ metadata, spec }: Template, at: FieldPath): Cause | undefined {
  if (!metadata?.name) return requiredValue(at.child('name'), 'a DataVolume needs a name')
  const { pvc, storage, source, sourceRef } = spec
  if (!pvc && !storage) return invalidValue(at.child('PVC', 'Storage'), 'say pvc or storage')
  if (pvc && storage) return invalidValue(at.child('PVC', 'Storage'), 'say pvc or storage, not both')
  const claim = pvc ?? storage
  const hasDataSource = Boolean(claim?.dataSource || claim?.dataSourceRef)
  if (hasDataSource && (source || sourceRef))
    return invalidValue(at.child('source'), 'the claim names a data source already')
  if (!hasDataSource && !source && !sourceRef)
    return invalidValue(at.child('source', 'sourceRef'), 'say where the data comes from')
  if (!source) return undefined
  const count = SOURCES.filter((name) => source[name]).length
  return count === 1 ? undefined : invalidValue(at.child('source'), `has ${count} sources: choose one`)
}
