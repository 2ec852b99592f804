/** What is done to plugins. Contract: admission-others.md, section 16. */
import { posix } from 'node:path'
import { addAll, invalidValue } from '../../lib/causes.ts'
import { checkCel, type CelType } from '../../lib/cel-syntax.ts'
import type { Cause } from '../../lib/errors.ts'
import { FieldPath } from '../../lib/field-path.ts'
import { needsGate } from '../gate.ts'
import type { SpecOf } from '../references.ts'
import type { KindAdmission, ReviewInput } from '../review-input.ts'

interface DomainHook {
  condition?: string
  cel?: { expression?: string }
  sidecar?: { socketPath?: string }
}

interface PluginSpec {
  condition?: string
  domainHooks?: DomainHook[]
  nodeHooks?: { condition?: string }[]
}
type Plugin = SpecOf<PluginSpec>

const SPEC = new FieldPath('spec')
/** What expressions may speak of, by the contract's environments. */
const DOMAIN = ['vmi', 'domainSpec']
const NODE = ['vmi']

/**
 * Expressions can be read, and speak of what there is; paths of sockets are clean. What members objects have is not
 * looked at: that takes the types. Contract: PLG-004 … 008.
 */
function pluginIsSound({ object }: ReviewInput<Plugin>): Cause[] {
  const { condition, domainHooks = [], nodeHooks = [] } = object.spec
  const causes: Cause[] = []
  addAll(causes, celIsSound(condition, SPEC.child('condition'), DOMAIN, 'bool'))
  for (const [position, hook] of domainHooks.entries()) {
    const field = SPEC.child('domainHooks').index(position)
    addAll(causes, celIsSound(hook.cel?.expression, field.child('cel', 'expression'), DOMAIN, 'Domain'))
    addAll(causes, celIsSound(hook.condition, field.child('condition'), DOMAIN, 'bool'))
  }
  for (const [position, hook] of nodeHooks.entries()) {
    addAll(
      causes,
      celIsSound(hook.condition, SPEC.child('nodeHooks').index(position).child('condition'), NODE, 'bool'),
    )
  }
  for (const [position, { sidecar }] of domainHooks.entries()) {
    if (!sidecar || sidecar.socketPath === cleanPath(sidecar.socketPath ?? '')) continue
    const field = SPEC.child('domainHooks').index(position).child('sidecar', 'socketPath')
    causes.push(
      invalidValue(
        field,
        `"${sidecar.socketPath ?? ''}" is no clean path: write ${cleanPath(sidecar.socketPath ?? '')}`,
      ),
    )
  }
  return causes
}

function celIsSound(
  expression: string | undefined,
  field: FieldPath,
  variables: readonly string[],
  type: CelType,
): Cause[] {
  if (!expression) return []
  const fault = checkCel(expression, variables, type)
  return fault !== undefined ? [invalidValue(field, fault)] : []
}

/** As Go's `path.Clean`: `normalize` keeps a slash at the end. */
function cleanPath(path: string): string {
  const normal = posix.normalize(path)
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal
}

/** Contract: PLG-002. */
export const createPlugin: KindAdmission<Plugin> = {
  mutators: [],
  stages: [needsGate('Plugins'), pluginIsSound],
}

export const updatePlugin: KindAdmission<Plugin> = { mutators: [], stages: [pluginIsSound] }
