/**
 * How lists and objects are owned under server-side apply. Source: "Merge strategy" in Kubernetes' page on server-side
 * apply. A list that is not here belongs to one manager as a whole.
 */

/**
 * Lists of which each manager may own elements: definition → member → what tells the elements apart. Only lists whose
 * elements admission keeps apart: Kubernetes refuses doubles in them itself.
 */
const KEYS: Record<string, Record<string, readonly string[]>> = {
  'v1.Devices': { disks: ['name'], interfaces: ['name'] },
  'v1.VirtualMachineInstanceSpec': {
    networks: ['name'],
    topologySpreadConstraints: ['topologyKey', 'whenUnsatisfiable'],
    utilityVolumes: ['name'],
    volumes: ['name'],
  },
  'v1.VirtualMachineInstanceStatus': { migratedVolumes: ['volumeName'], volumeStatus: ['name'] },
}

/** Objects that make no sense in parts. Source: `+structType=atomic` in the types of Kubernetes. */
const WHOLE = new Set([
  'io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector',
  'io.k8s.api.core.v1.LocalObjectReference',
  'io.k8s.api.core.v1.NodeSelector',
  'io.k8s.api.core.v1.NodeSelectorTerm',
  'io.k8s.api.core.v1.ObjectFieldSelector',
  'io.k8s.api.core.v1.ObjectReference',
  'io.k8s.api.core.v1.ResourceFieldSelector',
  'io.k8s.api.core.v1.TypedLocalObjectReference',
])

/** What tells the elements of a list apart; nothing where the list is owned as a whole. */
export function listKeysOf(owner: string, member: string): readonly string[] | undefined {
  return member === 'conditions' ? ['type'] : KEYS[owner]?.[member]
}

/** Whether objects of that definition are owned as a whole. */
export function isWhole(definition: string): boolean {
  return WHOLE.has(definition)
}
