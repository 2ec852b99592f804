import type { Condition } from '../../kinds/meta.ts'
import type { AgentInterface, OsInfo } from '../../qemu/qga/answers.ts'
import type { GuestReport } from '../../rpc/actions.ts'
import type { GuestState } from '../guest/state.ts'

/** What an agent says, as far as it becomes part of a report. */
export interface AgentReport {
  os: OsInfo
  interfaces: AgentInterface[]
  /** It says that file systems are frozen. */
  frozen: boolean
  /** It knows all commands that are wanted of one; `undefined` as long as it has not been asked. */
  supported?: boolean
}

type Status = GuestReport['status']
type Interface = NonNullable<Status['interfaces']>[number]

const LOOPBACK = /^lo\d*$|loopback/i

/** What an agent adds to the conditions of a guest. Source: contract 7.5. */
export function agentConditions({ agentConnected, agent }: Readonly<GuestState>): Condition[] {
  if (!agentConnected) return []
  const connected: Condition = { type: 'AgentConnected', status: 'True' }
  if (agent?.supported !== false) return [connected]
  return [
    connected,
    {
      type: 'AgentVersionNotSupported',
      status: 'True',
      reason: 'AgentCommandsMissing',
      message: 'the guest agent lacks commands, or has them switched off: install a newer one',
    },
  ]
}

/** The status of a guest with what its agent says of it. What this node knows by itself comes first, always. */
export function withAgent(status: Status, { agent, frozen }: Readonly<GuestState>): Status {
  const isFrozen = frozen?.confirmed || agent?.frozen
  const interfaces = agent && mergeInterfaces(status.interfaces ?? [], agent.interfaces)
  return {
    ...status,
    ...(interfaces && interfaces.length > 0 && { interfaces }),
    ...(agent && Object.keys(agent.os).length > 0 && { guestOSInfo: agent.os }),
    ...(isFrozen && { fsFreezeStatus: 'frozen' }),
  }
}

/**
 * The guest's interfaces with what its agent says of them, by their MACs. An address that this node has assigned stays
 * the first, whatever the agent says: others connect to that (security C3). Interfaces that the guest has made itself
 * come last, without a name.
 */
export function mergeInterfaces(
  known: readonly Interface[],
  reported: readonly AgentInterface[],
): Interface[] {
  const isOurs = (mac: string | undefined) => known.some((each) => macOf(each) === mac)
  const merged = known.map((each) => {
    const claims = reported.filter(({ mac }) => mac !== undefined && mac === macOf(each))
    const [first] = claims
    if (!first) return each
    const addresses = claims.flatMap((claim) => claim.addresses)
    return {
      ...each,
      ...withAddresses([...(each.ipAddresses ?? []), ...addresses]),
      interfaceName: first.name,
      infoSource: 'domain, guest-agent',
    }
  })
  const own = reported
    .filter(({ mac, name }) => !isOurs(mac) && !LOOPBACK.test(name))
    .map(({ mac, name, addresses }) => ({
      ...(mac !== undefined && { mac }),
      ...withAddresses(addresses),
      interfaceName: name,
      infoSource: 'guest-agent',
    }))
  return [...merged, ...own]
}

function macOf({ mac }: Interface): string | undefined {
  return mac?.toLowerCase()
}

function withAddresses(addresses: readonly string[]): Pick<Interface, 'ipAddress' | 'ipAddresses'> {
  const [first, ...others] = new Set(addresses)
  return first === undefined ? {} : { ipAddress: first, ipAddresses: [first, ...others] }
}
