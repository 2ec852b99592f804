import { parseExact } from '../lib/exact-json.ts'
import { InstancetypeConflict } from '../instancetype/expand.ts'
import { InstancetypeError } from '../instancetype/references.ts'
import type { Vm } from '../kinds/kubevirt.ts'
import { VMS } from '../kinds/table.ts'
import { badRequest, type Cause } from '../lib/errors.ts'
import { isRecord, type JsonRecord } from '../lib/json.ts'
import type { Action, Call } from './subresource.ts'

/**
 * A VM that need not exist, with its instance type and preference written out. It writes nothing. Its body is JSON,
 * whatever its media type says (contract: K7). Source: contract 3.12.
 */
export const expandVmSpec: Action = {
  type: 'action',
  name: 'expand-vm-spec',
  method: 'PUT',
  verb: 'update',
  kind: VMS.kind,
  kindGroup: { group: VMS.group, version: VMS.version },
  description: 'Write out the instance type and the preference of the VirtualMachine in the body.',
  success: 200,
  run: expandGiven,
}

async function expandGiven(call: Call): Promise<object> {
  const vm = readVm(call)
  try {
    return await call.expander.expandVm(vm, call.foreignUses(call.user, call.signal))
  } catch (error) {
    if (!(error instanceof InstancetypeError)) throw error
    throw badRequest(error.message, error instanceof InstancetypeConflict ? error.causes : undefined)
  }
}

/** The VM in the body, in the namespace of the path. Throws 400. */
function readVm({ body, shapes, namespace }: Call): Vm {
  const given = parse(body)
  checkShape(shapes, given)
  const vm = shapes.prune(VMS, toVm(given))
  const own = vm.metadata?.namespace
  if (own && own !== namespace) {
    throw badRequest(`metadata.namespace is "${own}": it must be "${namespace}", as in the path, or absent`)
  }
  return { ...vm, metadata: { ...vm.metadata, namespace } }
}

/** It has the shape of a VM, as was checked; what a stored one has besides is not looked at. */
function toVm(given: object): Vm {
  return given as Vm
}

function parse(body: Buffer): JsonRecord {
  let value: unknown
  try {
    value = parseExact(body.toString('utf8'))
  } catch (error) {
    const detail = error instanceof Error ? error.message : ''
    throw badRequest(`the request body must be a VirtualMachine as JSON: ${detail}`)
  }
  if (!isRecord(value)) throw badRequest('the request body must be a VirtualMachine as JSON: it is no object')
  return value
}

/** Members that may hold what nobody knows: they are the stores' own. */
const OPEN = /^(metadata|status)\./

/** Causes have a message alone, as KubeVirt's have. */
function checkShape(shapes: Call['shapes'], given: JsonRecord): void {
  const { causes, unknownFields } = shapes.check(VMS, given)
  const problems = [
    ...unknownFields.filter((field) => !OPEN.test(field)).map((field) => `unknown field "${field}"`),
    ...causes.map(describe),
  ]
  if (problems.length === 0) return
  throw badRequest(
    `the request body is no VirtualMachine: ${problems.join(', ')}`,
    problems.map((message) => ({ message })),
  )
}

function describe({ field, message }: Cause): string {
  return message.includes(field) ? message : `${field}: ${message}`
}
