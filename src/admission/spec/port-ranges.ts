import { isIPv4 } from 'node:net'
import { addAll, invalidValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import type { Interface, Network, RuleConfig } from './rule.ts'

/** Newer than the published types. */
interface PortRange {
  protocol?: string
  start?: number
  end?: number
}

const RANGES = 10
const PORTS = 65_536

/** Ranges of ports that a guest opens. Contract: VMI-NET-037 … 045. */
export function portRangesAreSound(
  entry: Interface & { portRanges?: PortRange[] },
  at: FieldPath,
  network: Network | undefined,
  config: RuleConfig,
): Cause[] {
  const { portRanges: ranges, ports, masquerade } = entry
  if (!ranges) return []
  if (!config.isGateOn('PortRangesSpec')) {
    return [invalidValue(at.child('name'), 'portRanges needs the feature gate PortRangesSpec')]
  }
  if (!network?.pod) return []
  const causes: Cause[] = []
  if (ports) causes.push(invalidValue(at.child('name'), 'use ports or portRanges, not both'))
  if (!masquerade) causes.push(invalidValue(at.child('name'), 'portRanges works with masquerade only'))
  const field = at.child('portRanges')
  if (ranges.length > RANGES) {
    causes.push(invalidValue(field, `at most ${RANGES}`))
    return causes
  }
  const sound = new Map<string, Required<PortRange>[]>()
  for (const [position, range] of ranges.entries()) {
    const fault = faultOf(range)
    const { protocol = '', start = 0, end = 0 } = range
    if (fault)
      causes.push(invalidValue(field.index(position).child(fault), `${protocol} ${start}-${end} is no range`))
    else sound.set(protocol, [...(sound.get(protocol) ?? []), { protocol, start, end }])
  }
  for (const list of sound.values()) addAll(causes, rangesAreApart(list, field))
  return causes
}

function faultOf({ protocol, start = 0, end = 0 }: PortRange): 'protocol' | 'start' | 'end' | undefined {
  if (protocol !== 'TCP' && protocol !== 'UDP') return 'protocol'
  if (start <= 0 || start >= PORTS) return 'start'
  if (end <= 0 || end >= PORTS) return 'end'
  return start > end ? 'start' : undefined
}

function rangesAreApart(ranges: Required<PortRange>[], at: FieldPath): Cause[] {
  const sorted = ranges.toSorted((left, right) => left.start - right.start || left.end - right.end)
  const causes: Cause[] = []
  for (const [position, range] of sorted.entries()) {
    const next = sorted[position + 1]
    if (next && next.start <= range.end)
      causes.push(invalidValue(at, `${range.protocol} ${next.start} is in two ranges`))
  }
  return causes
}

const PRIVATE_FROM = 224
const PRIVATE_TO = 254

/** What a guest is told by DHCP. Contract: VMI-NET-046 … 048. */
export function dhcpOptionsAreSound({ dhcpOptions }: Interface, at: FieldPath, spec: FieldPath): Cause[] {
  const { privateOptions = [], ntpServers = [] } = dhcpOptions ?? {}
  const numbers = privateOptions.map(({ option }) => option ?? 0)
  const causes: Cause[] = []
  if (new Set(numbers).size < numbers.length)
    causes.push(invalidValue(spec, 'a private DHCP option is given twice'))
  for (const number of numbers) {
    if (number >= PRIVATE_FROM && number <= PRIVATE_TO) continue
    causes.push(invalidValue(spec, `DHCP option ${number} is not from ${PRIVATE_FROM} to ${PRIVATE_TO}`))
  }
  for (const [position, address] of ntpServers.entries()) {
    if (isIPv4(address)) continue
    causes.push(
      invalidValue(at.child('dhcpOptions', 'ntpServers').index(position), `"${address}" is no IPv4 address`),
    )
  }
  return causes
}
