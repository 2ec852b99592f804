import { VMIS } from '../kinds/table.ts'
import { getAgentInfo } from './agent-vmi.ts'
import type { Call, Query } from './subresource.ts'

/** What the guest's agent says of its system. Source: contract 5.1. */
export const guestosinfo: Query = {
  type: 'query',
  resource: VMIS,
  name: 'guestosinfo',
  method: 'GET',
  verb: 'get',
  kind: 'VirtualMachineInstanceGuestAgentInfo',
  kindGroup: { group: 'kubevirt.io', version: 'v1' },
  description: 'Get what the guest agent of a VirtualMachineInstance says of its system.',
  run: describeSystem,
}

/** Lists in it are short: `userlist` and `filesystemlist` have all. */
const LIST_LIMIT = 10

async function describeSystem(call: Call): Promise<object> {
  const { info, users, filesystems } = await getAgentInfo(call)
  const userList = users.slice(0, LIST_LIMIT)
  const disks = filesystems.slice(0, LIST_LIMIT)
  return {
    ...info,
    ...(userList.length > 0 && { userList }),
    fsInfo: { disks },
  }
}
