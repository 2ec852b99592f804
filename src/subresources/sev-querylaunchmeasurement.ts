import { VMIS } from '../kinds/table.ts'
import { askNode } from './lookup.ts'
import { getSevVmi } from './sev.ts'
import type { Query } from './subresource.ts'

/** What a SEV guest was measured to be, before it runs. Source: contract 3.14. */
export const sevQueryLaunchMeasurement: Query = {
  type: 'query',
  resource: VMIS,
  name: 'sev/querylaunchmeasurement',
  method: 'GET',
  verb: 'get',
  kind: 'SEVMeasurementInfo',
  description: 'Query the SEV launch measurement of a VirtualMachineInstance.',
  async run(call) {
    const vmi = await getSevVmi(call, { phases: ['Running'], paused: true })
    return askNode(call.nodes, vmi, (node, guest) => node.sevMeasurement(guest, call.signal))
  },
}
