/**
 * Field paths of causes as paths in the object. Many of them lead nowhere: they are KubeVirt's, and clients know them
 * (contract: admission-overview.md, section 1).
 */

/** What is said → where it stands, in the order in which it is tried. `$1` is the way to the guest's spec. */
const IRREGULAR: readonly [RegExp, string][] = [
  [/, .*$/, ''],
  [/\.\{.*$/, ''],
  [/(disks|hyperv)\.domain\.(?:devices\.disks|features\.hyperv)/, '$1'],
  [/\.disks\.disk(\[\d+\])/, '.disks$1.disk'],
  [/\.disks\.luns\.reservation$/, '.disks'],
  [/^(.*\bspec)(\[\d+\]\.bootOrder)$/, '$1.domain.devices.interfaces$2'],
  [/^(.*\bspec)\.acpi\b/, '$1.domain.firmware.acpi'],
  [/^(.*\bspec)\.(nodeAffinity|podAffinity|podAntiAffinity)\b/, '$1.affinity.$2'],
  [/(podA(?:nti)?(?:A|a)ffinity\..*)\.namespace$/, '$1.namespaces'],
  [/^(.*\bspec)\.(GPUs|HostDevices|Sound|video)$/, '$1.domain.devices.$2'],
  [/^(.*\bspec)\.launchSecurity$/, '$1.domain.launchSecurity'],
  [/^(.*\bspec)\.interfaces$/, '$1.networks'],
  [/^(.*\bspec)\.domain\.volumes\b/, '$1.volumes'],
  [/\.ioThreads\.count$/, '.ioThreadsPolicy'],
  [/\.dataVolumeTemplate(\[\d+\])\.name$/, '.dataVolumeTemplates$1.metadata.name'],
  [/\.dataVolumeTemplate(\[\d+\])\.(?:PVC\.Storage|source\.sourceRef)$/, '.dataVolumeTemplates$1.spec'],
  [/\.dataVolumeTemplate(\[\d+\])\.source$/, '.dataVolumeTemplates$1.spec.source'],
  [/\.dataVolumeTemplate(\[\d+\])$/, '.dataVolumeTemplates$1'],
  [/^instancetype\.spec\b.*$/, 'spec.instancetype'],
  [/^spec\.migrationPriority$/, 'spec.priority'],
]

/** What a kind says in another place than its causes do. */
const BY_KIND: Record<string, readonly [RegExp, string][]> = {
  VirtualMachine: [[/^spec\.domain\b/, 'spec.template.spec.domain']],
  VirtualMachinePool: [[/^spec\.template$/, 'spec.virtualMachineTemplate']],
  VirtualMachineClone: [
    [/^spec\.(?:template\.)?annotations$/, 'spec.annotationFilters'],
    [/^spec\.(?:template\.)?labels$/, 'spec.labelFilters'],
  ],
}

const GUESTS: Record<string, string> = {
  VirtualMachine: 'spec.template.spec',
  VirtualMachineInstanceReplicaSet: 'spec.template.spec',
  VirtualMachinePool: 'spec.virtualMachineTemplate.spec.template.spec',
}

/** Causes about DNS have no way to them at all. */
const DNS: Record<string, string> = {
  nameservers: 'nameservers',
  searchDomains: 'searches',
  options: 'options',
}

/** The steps to a field of an object of that kind. */
export function stepsTo(field: string, kind: string): (string | number)[] {
  const path = regularPath(field, kind)
  // A map's key in brackets may have dots.
  return [...path.matchAll(/\[([^\]]*)\]|[^.[\]]+/g)].map(([step, bracketed]) => {
    if (bracketed === undefined) return step
    return /^\d+$/.test(bracketed) ? Number(bracketed) : bracketed
  })
}

function regularPath(field: string, kind: string): string {
  const dns = DNS[field]
  if (dns !== undefined) return `${GUESTS[kind] ?? 'spec'}.dnsConfig.${dns}`
  const table = [...IRREGULAR, ...(BY_KIND[kind] ?? [])]
  return table.reduce((path, [said, meant]) => path.replace(said, meant), field)
}

/** The path that a sentence begins with; some faults have no other field. */
export function pathIn(message: string): string {
  return /^(?:spec|status|metadata)(?:\.[\w$]+|\[[^\]]*\])*(?=[ :])/.exec(message)?.[0] ?? ''
}
