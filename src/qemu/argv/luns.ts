/**
 * Addresses of disks on the guest's SCSI controller. They are kept beside the PCI slots, written `lun3`: a disk that
 * was plugged in keeps its address when the guest is started again, or received by another node.
 */

const LUN = /^lun(\d+)$/
/** Source: QEMU, `hw/scsi/virtio-scsi.c`, `max_lun`. */
const LUN_LIMIT = 16_384

/** The address in a slot such as `lun3`; `undefined` where it is another kind of slot. */
export function lunOfSlot(slot: string | undefined): number | undefined {
  const digits = LUN.exec(slot ?? '')?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/** An address as a slot. */
export function slotOfLun(lun: number): string {
  return `lun${lun}`
}

/** Device id → slot. */
export function slotsOfLuns(luns: ReadonlyMap<string, number>): Record<string, string> {
  return Object.fromEntries([...luns].map(([id, lun]) => [id, slotOfLun(lun)]))
}

/** The lowest address that is not taken; `undefined` where all are. */
export function freeLun(taken: ReadonlySet<number>): number | undefined {
  for (let lun = 0; lun < LUN_LIMIT; lun += 1) if (!taken.has(lun)) return lun
  return undefined
}

/** Addresses for disks, in order: the ones of last time, the lowest free one for who had none. */
export function assignLuns(
  ids: readonly string[],
  slots: Readonly<Record<string, string>>,
): Map<string, number> {
  const luns = new Map<string, number>()
  const taken = new Set<number>()
  const take = (id: string, lun: number | undefined): void => {
    if (lun === undefined || taken.has(lun)) return
    luns.set(id, lun)
    taken.add(lun)
  }
  for (const id of ids) take(id, lunOfSlot(slots[id]))
  for (const id of ids) if (!luns.has(id)) take(id, freeLun(taken))
  return new Map(ids.flatMap((id) => [[id, luns.get(id)] as const]).filter(hasLun))
}

function hasLun(entry: readonly [string, number | undefined]): entry is readonly [string, number] {
  return entry[1] !== undefined
}
