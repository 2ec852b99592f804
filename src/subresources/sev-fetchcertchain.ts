import { VMIS } from '../kinds/table.ts'
import { askNode } from './lookup.ts'
import { getSevVmi } from './sev.ts'
import type { Query } from './subresource.ts'

/** The certificates of the platform that a SEV guest is to run on. Source: contract 3.14. */
export const sevFetchCertChain: Query = {
  type: 'query',
  resource: VMIS,
  name: 'sev/fetchcertchain',
  method: 'GET',
  verb: 'get',
  kind: 'SEVPlatformInfo',
  description: 'Fetch the SEV certificate chain of the node that a VirtualMachineInstance is on.',
  async run(call) {
    const vmi = await getSevVmi(call, { phases: ['Scheduled', 'Running'] })
    return askNode(call.nodes, vmi, (node, guest) => node.sevPlatform(guest, call.signal))
  },
}
