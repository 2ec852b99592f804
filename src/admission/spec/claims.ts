import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { addAll, duplicateValue, invalidValue, missingValue, requiredValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import { checkDns1123Subdomain, isDns1123Label } from '../../lib/names.ts'
import { devicesOf, type RuleConfig } from './rule.ts'
import { all } from './selectors.ts'

/** A claim on a device, by DRA. Newer than the published types. */
interface ResourceClaim {
  name?: string
  resourceClaimName?: string
  resourceClaimTemplateName?: string
}
interface Request {
  claimName?: string
  requestName?: string
}
interface Device extends Request {
  name?: string
  deviceName?: string
}
interface Claiming {
  resourceClaims?: ResourceClaim[]
  networks?: { name?: string; multus?: object; resourceClaim?: Request }[]
}

/** Pairs of claim and request → where the first device with it stands. */
type Pairs = Map<string, { position: number; claimName: string }>

/** The spec by members that the published types do not have yet. */
function claimingOf(spec: VmiSpec): Claiming {
  return spec
}

/** Networks that come by claims. Contract: VMI-NET-018 … 024. */
export function networkClaimsAreSound(spec: VmiSpec, at: FieldPath, config: RuleConfig): Cause[] {
  const { networks = [], resourceClaims = [] } = claimingOf(spec)
  if (!networks.some(({ resourceClaim }) => resourceClaim)) return []
  const field = at.child('networks')
  if (!config.isGateOn('NetworkDevicesWithDRA')) {
    return [invalidValue(field, 'resourceClaim needs the feature gate NetworkDevicesWithDRA')]
  }
  if (networks.some(({ multus }) => multus)) {
    return [invalidValue(field, 'networks by resourceClaim and by multus cannot be mixed')]
  }
  const causes: Cause[] = []
  const names = new Set(resourceClaims.map(({ name }) => name))
  const seen = new Set<string>()
  for (const [position, { name, resourceClaim }] of networks.entries()) {
    if (!resourceClaim) continue
    const entry = devicesOf(spec).interfaces?.find((candidate) => candidate.name === name)
    if (entry && !entry.sriov && !entry.binding) {
      causes.push(
        invalidValue(at.child('domain', 'devices', 'interfaces'), `"${name}" needs sriov or a binding`),
      )
    }
    addAll(causes, requestIsComplete(resourceClaim, field.index(position).child('resourceClaim')))
    const { claimName = '', requestName = '' } = resourceClaim
    if (claimName === '' || requestName === '') continue
    if (!names.has(claimName)) {
      causes.push(
        missingValue(
          field.index(position).child('resourceClaim', 'claimName'),
          `no claim is named "${claimName}"`,
        ),
      )
    }
    const pair = pairOf(resourceClaim)
    if (seen.has(pair))
      causes.push(duplicateValue(field.index(position), 'another network has this claim and request'))
    seen.add(pair)
  }
  return causes
}

/** Devices that come by claims. Contract: VMI-DRA-001 … 032. */
export function deviceClaimsAreSound(spec: VmiSpec, at: FieldPath, config: RuleConfig): Cause[] {
  const { resourceClaims = [], networks = [] } = claimingOf(spec)
  if (!mayClaim(spec)) return []
  const causes: Cause[] = []
  addAll(causes, claimsAreSound(resourceClaims, at.child('resourceClaims')))
  // The same holds for them as for claims.
  const { gpus = [], hostDevices = [] } = devicesOf(spec) as { gpus?: Device[]; hostDevices?: Device[] }
  const gpuPairs: Pairs = new Map()
  const hostPairs: Pairs = new Map()
  const devices = at.child('domain', 'devices')
  addAll(causes, gpusAreSound(gpus, devices.child('gpus'), config, gpuPairs))
  addAll(
    causes,
    devicesAreSound(hostDevices, devices.child('hostDevices'), 'HostDevicesWithDRA', config, hostPairs),
  )
  for (const [pair, { position }] of hostPairs) {
    if (gpuPairs.has(pair)) {
      causes.push(
        duplicateValue(devices.child('hostDevices').index(position), 'a GPU has this claim and request'),
      )
    }
  }
  if (config.isGateOn('NetworkDevicesWithDRA')) {
    const seen = new Set<string>()
    for (const [position, { resourceClaim }] of networks.entries()) {
      if (!resourceClaim?.claimName || !resourceClaim.requestName) continue
      const pair = pairOf(resourceClaim)
      const isTaken = gpuPairs.has(pair) || hostPairs.has(pair)
      if (isTaken && !seen.has(pair)) {
        causes.push(
          duplicateValue(at.child('networks').index(position), 'a device has this claim and request'),
        )
      }
      seen.add(pair)
    }
  }
  const names = new Set(resourceClaims.map(({ name }) => name))
  const strays = [...gpuPairs.values(), ...hostPairs.values()].filter(
    ({ claimName }) => !names.has(claimName),
  )
  const [stray] = strays
  if (stray)
    causes.push(invalidValue(at.child('resourceClaims'), `no claim is named "${stray.claimName}": add it`))
  return causes
}

/** Whether there is anything that could claim or be claimed. */
function mayClaim(spec: VmiSpec): boolean {
  const { resourceClaims, networks = [] } = claimingOf(spec)
  const { gpus, hostDevices } = devicesOf(spec)
  return Boolean(
    resourceClaims?.length ||
    gpus?.length ||
    hostDevices?.length ||
    networks.some(({ resourceClaim }) => resourceClaim),
  )
}

function claimsAreSound(claims: readonly ResourceClaim[], at: FieldPath): Cause[] {
  const seen = new Set<string>()
  const causes: Cause[] = []
  for (const [position, claim] of claims.entries()) {
    const { name = '', resourceClaimName: byName, resourceClaimTemplateName: byTemplate } = claim
    const field = at.index(position)
    if (name === '') causes.push(requiredValue(field.child('name'), 'a claim has a name'))
    else if (seen.has(name)) causes.push(duplicateValue(field.child('name'), 'another claim has this name'))
    else if (!isDns1123Label(name))
      causes.push(invalidValue(field.child('name'), `"${name}" is no DNS label`))
    seen.add(name)
    if ((byName === undefined) === (byTemplate === undefined)) {
      causes.push(invalidValue(field, 'choose one of resourceClaimName and resourceClaimTemplateName'))
    }
    if (byName !== undefined)
      addAll(causes, all(checkDns1123Subdomain(byName), field.child('resourceClaimName'), byName))
    if (byTemplate !== undefined) {
      addAll(
        causes,
        all(checkDns1123Subdomain(byTemplate), field.child('resourceClaimTemplateName'), byTemplate),
      )
    }
  }
  return causes
}

function gpusAreSound(gpus: readonly Device[], at: FieldPath, config: RuleConfig, pairs: Pairs): Cause[] {
  const claimed = gpus.filter(isClaimed).length
  if (claimed > 0 && claimed < gpus.length) {
    return [invalidValue(at, 'GPUs by claim and by name cannot be mixed')]
  }
  const causes: Cause[] = []
  addAll(causes, devicesAreSound(gpus, at, 'GPUsWithDRA', config, pairs))
  return causes
}

function devicesAreSound(
  devices: readonly Device[],
  at: FieldPath,
  gate: string,
  config: RuleConfig,
  pairs: Pairs,
): Cause[] {
  const causes: Cause[] = []
  for (const device of devices) {
    if (isClaimed(device)) continue
    if (!device.deviceName) causes.push(requiredValue(at, `"${device.name ?? ''}" needs a deviceName`))
    else if (hasRequest(device)) {
      causes.push(invalidValue(at, `"${device.name ?? ''}" has a deviceName and a claim: choose one`))
    }
  }
  if (!devices.some(isClaimed)) return causes
  if (!config.isGateOn(gate)) {
    causes.push(invalidValue(at, `devices by claim need the feature gate ${gate}`))
    return causes
  }
  for (const [position, device] of devices.entries()) {
    if (!isClaimed(device)) continue
    const field = at.index(position)
    addAll(causes, requestIsComplete(device, field))
    const { claimName, requestName } = device
    if (!claimName || !requestName) continue
    const pair = pairOf(device)
    if (pairs.has(pair)) causes.push(duplicateValue(field, 'another device has this claim and request'))
    else pairs.set(pair, { position, claimName })
  }
  return causes
}

function hasRequest({ claimName, requestName }: Request): boolean {
  return claimName !== undefined || requestName !== undefined
}

function isClaimed(device: Device): boolean {
  return !device.deviceName && hasRequest(device)
}

function requestIsComplete({ claimName, requestName }: Request, at: FieldPath): Cause[] {
  const causes: Cause[] = []
  if (!claimName) causes.push(requiredValue(at.child('claimName'), 'name the claim'))
  if (!requestName) causes.push(requiredValue(at.child('requestName'), 'name the request in the claim'))
  return causes
}

function pairOf({ claimName = '', requestName = '' }: Request): string {
  return `${claimName}/${requestName}`
}
