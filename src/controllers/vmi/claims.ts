import { readClaim } from '../../kinds/claims.ts'
import type { PersistentVolumeClaim } from '../../kinds/core.ts'
import type { Vmi } from '../../kinds/kubevirt.ts'
import { keyOf } from '../../kinds/meta.ts'
import { claimNamesOf } from '../../kinds/volumes.ts'
import type { GuestClaim, SyncRequest } from '../../rpc/actions.ts'
import type { Informer } from '../../store/cache.ts'

/** What a node is told of the claims that a guest's volumes name; nothing where they name none. */
export function guestClaims(
  claims: Pick<Informer<PersistentVolumeClaim>, 'get'>,
  { metadata, spec }: Pick<Vmi, 'metadata' | 'spec'>,
): Pick<SyncRequest, 'claims'> {
  const found = claimNamesOf(spec).flatMap((name): [string, GuestClaim][] => {
    const claim = claims.get(metadata.namespace, name)
    return claim ? [[name, describe(claim)]] : []
  })
  return found.length > 0 ? { claims: Object.fromEntries(found) } : {}
}

function describe(claim: PersistentVolumeClaim): GuestClaim {
  const { isBound, volumeMode, accessModes, requestedBytes, capacityBytes } = readClaim(claim)
  return {
    isBound,
    volumeMode,
    accessModes,
    requestedBytes: Number(requestedBytes),
    ...(capacityBytes !== undefined && { capacityBytes: Number(capacityBytes) }),
  }
}

/** Keys of the claims that a VMI's volumes name: an index of VMIs. */
export function claimKeysOf({ metadata: { namespace }, spec }: Vmi): string[] {
  return claimNamesOf(spec).map((name) => keyOf({ namespace, name }))
}
