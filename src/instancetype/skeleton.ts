import type { VmiSpec } from '../kinds/kubevirt.ts'

/** A template gets, in place, the members that are always there: the schema lets them be left out. */
export function completeSkeleton(template: { spec?: Partial<VmiSpec> }): void {
  const spec = (template.spec ??= {})
  const { devices = {}, ...domain }: Partial<VmiSpec['domain']> = spec.domain ?? {}
  spec.domain = { ...domain, devices }
}
