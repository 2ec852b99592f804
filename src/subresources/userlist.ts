import { VMIS } from '../kinds/table.ts'
import { getAgentInfo, listOf } from './agent-vmi.ts'
import type { Call, Query } from './subresource.ts'

/** Who is logged in, as the guest's agent says. Source: contract 5.2. */
export const userlist: Query = {
  type: 'query',
  resource: VMIS,
  name: 'userlist',
  method: 'GET',
  verb: 'get',
  kind: 'VirtualMachineInstanceGuestOSUserList',
  kindGroup: { group: 'kubevirt.io', version: 'v1' },
  description: 'Get the users who are logged in to the guest of a VirtualMachineInstance.',
  run: listUsers,
}

async function listUsers(call: Call): Promise<object> {
  const { users } = await getAgentInfo(call)
  return listOf(users)
}
