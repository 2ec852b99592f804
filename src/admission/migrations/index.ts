/** What is done to migrations. Contract: admission-others.md, sections 4 and 5; MUT-MIG-001 … 004. */
import { isFinal, type Vmi, type Vmim } from '../../kinds/kubevirt.ts'
import { findCondition } from '../../kinds/meta.ts'
import { isMigrationOver, MIGRATION_FINALIZER, VMI_NAME_LABEL } from '../../kinds/migration.ts'
import { VMIMS, VMIS } from '../../kinds/table.ts'
import { forbiddenValue, invalidValue, requiredValue, unsupportedValue } from '../../lib/causes.ts'
import { badRequest, type Cause } from '../../lib/errors.ts'
import { isSameJson } from '../../lib/json.ts'
import { checkLabelValue } from '../../lib/names.ts'
import type { ObjectReader } from '../../store/store.ts'
import { kubeVirtUser } from '../accounts.ts'
import type { AdmissionRequest } from '../admission.ts'
import type { KindAdmission, ReviewInput } from '../review-input.ts'

/** What is known about the guest that is to be moved. */
interface Facts {
  vmi: Vmi | undefined
  others: Vmim[]
}

async function gatherFacts({ namespace, object }: AdmissionRequest, reader: ObjectReader): Promise<Facts> {
  const name = nameOf(object as Vmim)
  if (!name || checkLabelValue(name).length > 0) return { vmi: undefined, others: [] }
  const { items } = await reader.list(VMIMS, { namespace, labelSelector: `${VMI_NAME_LABEL}=${name}` })
  return { vmi: await reader.get(VMIS, namespace, name), others: items }
}

function nameOf({ spec }: Vmim): string {
  return spec?.vmiName ?? ''
}

/** A migration is found by its guest, and kept until it is cleaned up after. Contract: MUT-MIG-002, 003. */
function labelMigration({ object }: ReviewInput<Vmim, Facts>): void {
  const { metadata } = object
  metadata.labels = { ...metadata.labels, [VMI_NAME_LABEL]: nameOf(object) }
  metadata.finalizers = [...(metadata.finalizers ?? []), MIGRATION_FINALIZER]
}

/** A migration says whose it is. Contract: MIG-001. */
function guestIsNamed({ object }: ReviewInput<Vmim, Facts>): Cause[] {
  return !nameOf(object) ? [requiredValue('spec.vmiName', 'name the VMI to be migrated')] : []
}

/** Only the controller says what goes first. Contract: MIG-002. */
function priorityIsOurs({ object, request, config }: ReviewInput<Vmim, Facts>): Cause[] {
  const isController = request.user.name === kubeVirtUser('controller', config.installNamespace).name
  return 'priority' in object.spec && object.spec.priority !== undefined && !isController
    ? [
        forbiddenValue(
          'spec.migrationPriority',
          'only the controller of KubeVirt sets a priority: leave it out',
        ),
      ]
    : []
}

/**
 * The guest is there, runs, can be moved, and is not being moved. Throws 400. Contract: MIG-003 … 006.
 */
function guestCanMove({ object, facts, request }: ReviewInput<Vmim, Facts>): Cause[] {
  const { vmi, others } = facts
  const name = nameOf(object)
  if (!vmi) throw badRequest(`there is no VMI "${name}" in the namespace "${request.namespace}"`)
  const { phase, conditions } = vmi.status ?? {}
  if (isFinal(phase)) throw badRequest(`the VMI "${name}" has ended (${phase}): it cannot be migrated`)
  const migratable = findCondition(conditions, 'LiveMigratable')
  const isDecentralized = 'sendTo' in object.spec !== 'receive' in object.spec
  const isExcused = migratable?.reason === 'DisksNotLiveMigratable' && isDecentralized
  if (migratable?.status === 'False' && !isExcused) {
    throw badRequest(
      `the VMI "${name}" cannot be migrated (${migratable.reason}): ${migratable.message ?? ''}`,
    )
  }
  const running = others.find(({ status }) => !isMigrationOver(status?.phase))
  if (running) {
    throw badRequest(
      `the VMI "${name}" is being migrated by "${running.metadata.name}": wait for it, or delete it`,
    )
  }
  return []
}

/** Migration between clusters needs its gate. Contract: MIG-007. */
function decentralizedIsAllowed({ object, config }: ReviewInput<Vmim, Facts>): Cause[] {
  const isAsked = 'sendTo' in object.spec || 'receive' in object.spec
  return isAsked && !config.isGateOn('DecentralizedLiveMigration')
    ? [unsupportedValue('', 'sendTo and receive need the feature gate DecentralizedLiveMigration')]
    : []
}

/** Both ends of a migration between clusters mean the same one. Contract: MIG-008. */
function idsAgree({ object, config }: ReviewInput<Vmim, Facts>): Cause[] {
  const { sendTo, receive } = object.spec
  if (!config.isGateOn('DecentralizedLiveMigration') || !sendTo || !receive) return []
  return sendTo.migrationID !== receive.migrationID
    ? [invalidValue('', 'sendTo and receive name different migrations: give both the same migrationID')]
    : []
}

export const createMigration: KindAdmission<Vmim, Facts> = {
  gather: gatherFacts,
  mutators: [labelMigration],
  stages: [guestIsNamed, priorityIsOurs, guestCanMove, decentralizedIsAllowed, idsAgree],
}

/** What is asked of a migration stays. Contract: MIGU-001. */
function requestIsKept({ object, old }: ReviewInput<Vmim>): Cause[] {
  return old && !isSameJson(object.spec, old.spec)
    ? [unsupportedValue('', 'the spec of a migration cannot be changed: delete it and create another')]
    : []
}

/** So does the label it is found by. Contract: MIGU-002, 003. */
function labelIsKept({ object, old }: ReviewInput<Vmim>): Cause[] {
  const { phase } = object.status ?? {}
  const before = old?.metadata.labels?.[VMI_NAME_LABEL]
  if (isMigrationOver(phase) || before === undefined) return []
  return object.metadata.labels?.[VMI_NAME_LABEL] !== before
    ? [unsupportedValue('', `the label ${VMI_NAME_LABEL} of a migration that is not over cannot be changed`)]
    : []
}

export const updateMigration: KindAdmission<Vmim> = {
  mutators: [],
  stages: [requestIsKept, labelIsKept],
}
