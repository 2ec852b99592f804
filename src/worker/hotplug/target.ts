/** What Linux calls disks on each bus. */
const PREFIXES: Record<string, string> = { virtio: 'vd', sata: 'sd', scsi: 'sd', usb: 'sd' }

/** What the names of Linux for disks on a bus begin with. */
export function devicePrefix(bus: string): string {
  return PREFIXES[bus] ?? 'sd'
}

/** What they end with: 0 is `a`, 25 is `z`, 26 is `aa`. */
export function letters(index: number): string {
  const last = String.fromCodePoint(97 + (index % 26))
  return index < 26 ? last : letters(Math.floor(index / 26) - 1) + last
}
