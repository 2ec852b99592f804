import { internalError } from '../lib/errors.ts'
import { InstancetypeError } from '../instancetype/references.ts'
import type { Vm } from '../kinds/kubevirt.ts'
import { VMS } from '../kinds/table.ts'
import { getVm } from './lookup.ts'
import type { Call, Query } from './subresource.ts'

/** A VM with its instance type and preference written out; nothing is stored. Source: contract 3.12. */
export const expandSpec: Query = {
  type: 'query',
  resource: VMS,
  name: 'expand-spec',
  method: 'GET',
  verb: 'get',
  kind: VMS.kind,
  kindGroup: { group: VMS.group, version: VMS.version },
  description: 'Get a VirtualMachine with its instance type and preference written out.',
  run: expandStored,
}

async function expandStored(call: Call): Promise<Vm> {
  const vm = await getVm(call)
  try {
    return await call.expander.expandVm(vm, call.foreignUses(call.user, call.signal))
  } catch (error) {
    if (!(error instanceof InstancetypeError)) throw error
    throw internalError(error.message, error)
  }
}
