import { isIP } from 'node:net'
import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { addAll, invalidValue, requiredValue, unsupportedValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import { FieldPath } from '../../lib/field-path.ts'
import { checkDns1123Subdomain } from '../../lib/names.ts'
import { all } from './selectors.ts'

const POLICIES = ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None']
const NAMESERVERS = 3
const SEARCHES = 6
const SEARCH_BYTES = 256

/** How a guest asks for names can be understood. Most paths of the contract have no prefix. Contract: VMI-DNS-001 … 009; PRIM-014. */
export function dnsIsSound({ dnsPolicy, dnsConfig }: VmiSpec, at: FieldPath): Cause[] {
  const causes: Cause[] = []
  if (dnsPolicy && !POLICIES.includes(dnsPolicy)) {
    causes.push(unsupportedValue(at.child('dnsPolicy'), `"${dnsPolicy}" is none of ${POLICIES.join(', ')}`))
  }
  if (dnsPolicy === 'None' && !dnsConfig) {
    causes.push(requiredValue(at.child('dnsConfig'), 'the policy None needs a dnsConfig'))
    return causes
  }
  const { nameservers = [], searches = [], options = [] } = dnsConfig ?? {}
  if (dnsPolicy === 'None' && nameservers.length === 0) {
    causes.push(requiredValue('nameservers', 'the policy None needs a nameserver'))
    return causes
  }
  if (nameservers.length > NAMESERVERS) causes.push(invalidValue('nameservers', `at most ${NAMESERVERS}`))
  for (const address of nameservers) {
    if (isIP(address) === 0) causes.push(invalidValue('nameservers', `"${address}" is no IP address`))
  }
  if (searches.length > SEARCHES) causes.push(invalidValue('searchDomains', `at most ${SEARCHES}`))
  if (Buffer.byteLength(searches.join(' ')) > SEARCH_BYTES) {
    causes.push(invalidValue('searchDomains', `at most ${SEARCH_BYTES} bytes together`))
  }
  for (const domain of searches)
    addAll(causes, all(checkDns1123Subdomain(domain), new FieldPath('searchDomains'), domain))
  for (const { name } of options) if (!name) causes.push(invalidValue('options', 'an option has a name'))
  return causes
}
