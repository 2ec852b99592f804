import { rejected } from './error.ts'

/** Bytes of a file's start that tell its format. */
export const HEAD_BYTES = 512

/** Formats that are known by their first bytes and are not for containerDisks. */
const OTHER_FORMATS: [name: string, magic: Buffer][] = [
  ['VMDK', Buffer.from('KDMV')],
  ['VMDK', Buffer.from('# Disk DescriptorFile')],
  ['VHDX', Buffer.from('vhdxfile')],
  ['VHD', Buffer.from('conectix')],
  ['QED', Buffer.from('QED\0')],
  ['VDI', Buffer.from('<<< ')],
  ['Parallels', Buffer.from('WithoutFreeSpace')],
  ['Parallels', Buffer.from('WithouFreSpacExt')],
  ['gzip', Buffer.from([0x1f, 0x8b])],
  ['xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a])],
  ['zstd', Buffer.from([0x28, 0xb5, 0x2f, 0xfd])],
]

const QCOW_MAGIC = Buffer.from('QFI\xfb', 'latin1')

/** Incompatible features of version 3 that ask for nothing outside the file: dirty, compression type, long entries. */
const HARMLESS_FEATURES = 0b11001n
const CORRUPT = 0b10n
const DATA_FILE = 0b100n

/**
 * The format of a disk image, from its first bytes: qcow2 where it says so, else raw.
 *
 * qemu-img itself opens what a qcow2 header names, so everything that reaches outside the file is refused here,
 * before it is ever run. Throws `ImageError` with reason `ImageRejected`.
 * Source: `docs/interop/qcow2.txt` of QEMU.
 */
export function detectFormat(head: Buffer, where: string): 'raw' | 'qcow2' {
  const other = OTHER_FORMATS.find(([, magic]) => head.subarray(0, magic.length).equals(magic))
  if (other) {
    throw rejected(
      `${where} is a ${other[0]} file; a disk has to be raw or qcow2: convert it with qemu-img convert`,
    )
  }
  if (!head.subarray(0, 4).equals(QCOW_MAGIC)) return 'raw'
  if (head.length < HEAD_BYTES) throw rejected(`${where} is cut off: a qcow2 image is longer`)
  checkHeader(head, where)
  return 'qcow2'
}

function checkHeader(head: Buffer, where: string): void {
  const version = head.readUInt32BE(4)
  if (version !== 2 && version !== 3)
    throw rejected(`${where} is qcow version ${version}; only 2 and 3 are known`)
  if (head.readBigUInt64BE(8) !== 0n || head.readUInt32BE(16) !== 0) {
    throw rejected(`${where} has a backing file; flatten it with qemu-img convert`)
  }
  if (head.readUInt32BE(32) !== 0) throw rejected(`${where} is encrypted, which a guest could not open`)
  if (version === 2) return
  const features = head.readBigUInt64BE(72)
  if (features & DATA_FILE)
    throw rejected(`${where} keeps its data in another file; flatten it with qemu-img convert`)
  if (features & CORRUPT) throw rejected(`${where} is marked corrupt; repair it with qemu-img check -r`)
  if (features & ~(HARMLESS_FEATURES | CORRUPT | DATA_FILE)) {
    throw rejected(`${where} uses qcow2 features that are unknown here (bits ${features.toString(2)})`)
  }
}
