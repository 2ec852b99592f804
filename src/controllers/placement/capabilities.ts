import type { Vmi } from '../../kinds/kubevirt.ts'
import { BRIDGES } from '../../kinds/worker-lease.ts'
import type { Rule } from './situation.ts'

const MACHINE_TYPE = 'machine-type.node.kubevirt.io/'
const CPU_MODEL = 'cpu-model.node.kubevirt.io/'
const CPU_FEATURE = 'cpu-feature.node.kubevirt.io/'
/** Models that are whatever the node has. */
const HOST_MODELS = ['host-model', 'host-passthrough', 'max']

/** A guest goes to a node of its architecture. */
export const hasArchitecture: Rule = ({ spec }, { node }) => {
  const arch = node.metadata.labels?.['kubernetes.io/arch']
  const isOther = spec.architecture && arch && arch !== spec.architecture
  return isOther ? `node(s) didn't have the architecture ${spec.architecture}` : undefined
}

/** A guest goes where QEMU knows its machine; a type without version is another one on each node. */
export const knowsMachine: Rule = ({ spec }, { node }) => {
  const type = spec.domain.machine?.type ?? ''
  const labels = node.metadata.labels ?? {}
  const isTold = Object.keys(labels).some((label) => label.startsWith(MACHINE_TYPE))
  if (!isTold || !/-\d/.test(type) || labels[MACHINE_TYPE + type] === 'true') return undefined
  return `node(s) didn't know the machine type ${type}`
}

/** A guest goes where its CPU can be had; where guests are emulated, every CPU can. */
export const hasCpu: Rule = (vmi, { node }) => {
  const labels = node.metadata.labels ?? {}
  if (labels['virtgate.io/accelerator'] !== 'kvm') return undefined
  const missing = wantedLabels(vmi).find((label) => labels[label] !== 'true')
  if (missing !== undefined) return `node(s) didn't have ${missing}`
  const unwanted = unwantedLabels(vmi).find((label) => labels[label] === 'true')
  return unwanted && `node(s) had ${unwanted}, which the VMI forbids`
}

function wantedLabels({ spec: { domain } }: Vmi): string[] {
  const { model, features = [] } = domain.cpu ?? {}
  const required = features.filter(({ policy }) => !policy || policy === 'require')
  return [
    ...(model && !HOST_MODELS.includes(model) ? [CPU_MODEL + model] : []),
    ...required.map(({ name }) => CPU_FEATURE + name),
  ]
}

function unwantedLabels({ spec: { domain } }: Vmi): string[] {
  const forbidden = (domain.cpu?.features ?? []).filter(({ policy }) => policy === 'forbid')
  return forbidden.map(({ name }) => CPU_FEATURE + name)
}

/** A guest goes where the bridges of its networks are; a node that does not tell its bridges may have them. */
export const hasBridges: Rule = (_vmi, { node }, { needs }) => {
  const told = node.metadata.annotations?.[BRIDGES]
  if (told === undefined) return undefined
  const missing = needs.bridges.find((bridge) => !told.split(',').includes(bridge))
  return missing === undefined ? undefined : `node(s) didn't offer the bridge ${missing}`
}
