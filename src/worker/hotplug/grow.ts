import type { Volume } from '../../kinds/volumes.ts'
import { nodeNamesOf } from '../../qemu/argv/block-nodes.ts'
import type { GuestClaim } from '../../rpc/actions.ts'
import { claimImage, growImage, imageBytes } from '../volumes/claim.ts'
import type { Look } from './context.ts'

/** Volumes whose claim has become larger than the disk that the guest sees. */
export function outgrown(look: Look): Volume[] {
  const { spec, hardware } = look
  return (spec.volumes ?? []).filter((volume) => {
    const claim = claimOf(look, volume)?.claim
    const node = hardware.nodes.get(nodeNamesOf(volume.name).format)
    return claim?.isBound && node !== undefined && imageBytes(claim) > node.sizeBytes
  })
}

/** Makes the image as large as its claim, and tells the guest. */
export async function growDisk(look: Look, volume: Volume): Promise<void> {
  const { machine, record, parts } = look
  const found = claimOf(look, volume)
  if (!found) return
  const size = await growImage(found.file, found.claim)
  await machine.command('block_resize', { 'node-name': nodeNamesOf(volume.name).format, size })
  parts.log.info({ vmi: record.state.guest, volume: volume.name, size }, 'a disk has grown')
}

/** The claim of a disk that is its image itself: an ephemeral one keeps the size it began with. */
function claimOf(
  { request, parts }: Look,
  { persistentVolumeClaim, dataVolume }: Volume,
): { claim: GuestClaim; file: string } | undefined {
  const name = persistentVolumeClaim?.claimName ?? dataVolume?.name
  const { claims = {} } = request
  const claim = name !== undefined && Object.hasOwn(claims, name) ? claims[name] : undefined
  if (name === undefined || !claim || parts.claimsDir === undefined) return undefined
  const file = claimImage(name, { request, claimsDir: parts.claimsDir })
  return file === undefined ? undefined : { claim, file }
}
