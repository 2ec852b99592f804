import { badRequest, conflict, notFound, StatusError } from '../lib/errors.ts'
import type { JsonRecord } from '../lib/json.ts'
import { apiVersionOf } from '../kinds/kind.ts'
import { VMIMS, VMS } from '../kinds/table.ts'
import { decodeOptions, type OptionFields } from './body.ts'
import { isDryRun } from './dry-run.ts'
import { findVmi, getVm, isOwnedBy, VM, VMI } from './lookup.ts'
import type { Action, Call } from './subresource.ts'

const FIELDS = { addedNodeSelector: 'object', dryRun: 'strings' } as const satisfies OptionFields

/** Moves the guest of a VM to another node. Source: contract 3.6. */
export const migrate: Action = {
  type: 'action',
  resource: VMS,
  name: 'migrate',
  method: 'PUT',
  verb: 'update',
  kind: 'MigrateOptions',
  description: 'Migrate a running VirtualMachine to another node.',
  success: 202,
  fields: FIELDS,
  run: migrateVm,
}

async function migrateVm(call: Call): Promise<void> {
  const { addedNodeSelector, dryRun } = decodeOptions(call.body, FIELDS)
  const selector = addedNodeSelector && readSelector(addedNodeSelector)
  const isDry = isDryRun(call, migrate.kind, dryRun)
  const vm = await getVm(call)
  const { name } = call
  const vmi = await findVmi(call)
  if (!vmi || !isOwnedBy(vmi, vm)) throw notFound(VMI, name)
  if (vmi.status?.phase !== 'Running') throw conflict(VM, name, 'VM is not running')
  await createMigration(call, selector, isDry)
}

function readSelector(given: JsonRecord): Record<string, string> {
  return Object.fromEntries(
    Object.entries(given).map(([key, value]) => {
      if (typeof value === 'string') return [key, value]
      throw badRequest(`the request body is not as expected: addedNodeSelector["${key}"] must be a text`)
    }),
  )
}

/** What admission refuses is the VM's present state: 409. Source: contract 3.6, its defect mended. */
async function createMigration(
  { store, namespace, name }: Call,
  addedNodeSelector: Record<string, string> | undefined,
  dryRun: boolean,
): Promise<void> {
  const draft = {
    apiVersion: apiVersionOf(VMIMS),
    kind: VMIMS.kind,
    metadata: { namespace, generateName: 'kubevirt-migrate-vm-' },
    spec: { vmiName: name, ...(addedNodeSelector && { addedNodeSelector }) },
  }
  try {
    await store.create(VMIMS, draft, { dryRun })
  } catch (error) {
    if (error instanceof StatusError && error.code === 400) throw conflict(VM, name, error.message)
    throw error
  }
}
