import { VMIS } from '../kinds/table.ts'
import { getAgentInfo, listOf } from './agent-vmi.ts'
import type { Call, Query } from './subresource.ts'

/** What is mounted in the guest, as its agent says. Source: contract 5.2. */
export const filesystemlist: Query = {
  type: 'query',
  resource: VMIS,
  name: 'filesystemlist',
  method: 'GET',
  verb: 'get',
  kind: 'VirtualMachineInstanceFileSystemList',
  kindGroup: { group: 'kubevirt.io', version: 'v1' },
  description: 'Get the file systems that are mounted in the guest of a VirtualMachineInstance.',
  run: listFileSystems,
}

async function listFileSystems(call: Call): Promise<object> {
  const { filesystems } = await getAgentInfo(call)
  return listOf(filesystems)
}
