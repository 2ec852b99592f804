/** A file, folder or link to go into an archive. Paths have no leading slash; parents come before children. */
export type CpioEntry =
  | { path: string; type: 'file'; mode: number; data: Uint8Array }
  | { path: string; type: 'folder'; mode: number }
  | { path: string; type: 'link'; target: string }
  | { path: string; type: 'device'; mode: number; major: number; minor: number }

const TYPE_BITS = { file: 0o100000, folder: 0o040000, link: 0o120000, device: 0o020000 }
const TRAILER = 'TRAILER!!!'

/**
 * A cpio archive in the `newc` format, as Linux unpacks for its initial RAM disk.
 *
 * All times and owners are 0, so that the same entries make the same bytes.
 * Source: `Documentation/driver-api/early-userspace/buffer-format.rst` of Linux.
 */
export function buildCpio(entries: readonly CpioEntry[]): Buffer {
  const parts = entries.flatMap((entry, index) =>
    formatMember(entry.path, contentsOf(entry), {
      inode: index + 1,
      mode: TYPE_BITS[entry.type] | (entry.type === 'link' ? 0o777 : entry.mode),
      links: entry.type === 'folder' ? 2 : 1,
      device: entry.type === 'device' ? [entry.major, entry.minor] : [0, 0],
    }),
  )
  const end = formatMember(TRAILER, EMPTY, { inode: 0, mode: 0, links: 1, device: [0, 0] })
  return Buffer.concat([...parts, ...end])
}

const EMPTY = new Uint8Array(0)

function contentsOf(entry: CpioEntry): Uint8Array {
  if (entry.type === 'file') return entry.data
  return entry.type === 'link' ? Buffer.from(entry.target) : EMPTY
}

interface MemberInfo {
  inode: number
  mode: number
  links: number
  device: [major: number, minor: number]
}

function formatMember(path: string, data: Uint8Array, info: MemberInfo): Uint8Array[] {
  const name = Buffer.from(`${path}\0`)
  const { inode, mode, links, device } = info
  const owner = [0, 0]
  const time = 0
  const onDevice = [0, 0]
  const checksum = 0
  const fields = [
    inode,
    mode,
    ...owner,
    links,
    time,
    data.length,
    ...onDevice,
    ...device,
    name.length,
    checksum,
  ]
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`)
  return [header, name, padding(header.length + name.length), data, padding(data.length)]
}

function padding(length: number): Uint8Array {
  return new Uint8Array((4 - (length % 4)) % 4)
}
