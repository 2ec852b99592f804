import { conflict } from '../lib/errors.ts'
import type { Vmi } from '../kinds/kubevirt.ts'
import { isTrue } from '../kinds/meta.ts'
import type { AgentInfo } from '../rpc/actions.ts'
import { askNode, getVmi, VMI } from './lookup.ts'
import type { Call } from './subresource.ts'

/** The VMI of a call that needs a guest agent. Throws 404, and 409 where the guest does not run or has none. */
export async function getAgentVmi(call: Call): Promise<Vmi> {
  const vmi = await getRunningVmi(call)
  if (!isTrue(vmi.status?.conditions, 'AgentConnected')) {
    throw conflict(VMI, call.name, 'VMI has no guest agent connected: install and start it in the guest')
  }
  return vmi
}

/** The VMI of a call that needs a running guest. Throws 404, and 409 where it does not run. */
export async function getRunningVmi(call: Call): Promise<Vmi> {
  const vmi = await getVmi(call)
  if (vmi.status?.phase !== 'Running') throw conflict(VMI, call.name, 'VMI is not running')
  return vmi
}

/** What the agent has said last. Throws as `getAgentVmi` and `askNode`. Source: contract 5. */
export async function getAgentInfo(call: Call): Promise<AgentInfo> {
  const vmi = await getAgentVmi(call)
  return askNode(call.nodes, vmi, (node, guest) => node.agentInfo(guest, call.signal))
}

/** A list as clients read it: never null. Source: contract 5.2. */
export function listOf<T>(items: readonly T[]): { metadata: object; items: readonly T[] } {
  return { metadata: {}, items }
}
