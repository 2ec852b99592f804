import { type FileHandle, open } from 'node:fs/promises'
import { type JsonRecord, isRecord } from '../../lib/json.ts'
import { pullFailed, reasonOf, rejected } from './error.ts'
import { ChildFailed, runLimited } from './limited-child.ts'
import { HEAD_BYTES, detectFormat } from './qcow2.ts'

/** What a disk image turned out to be. */
export interface VettedDisk {
  format: 'raw' | 'qcow2'
  /** Bytes the guest sees. */
  virtualSizeBytes: number
}

/** How images are vetted. */
export interface VetOptions {
  /** Name or path of the program. */
  qemuImg: string
  maxVirtualBytes: number
  /** What the file is, for messages. */
  where: string
  signal?: AbortSignal | undefined
}

/**
 * Decides whether a file from outside may become a guest's disk, and what its format is.
 *
 * The format is told from the first bytes and stated to qemu-img, which never guesses and does not get to see a
 * header that reaches outside the file. Throws `ImageError`: `ImageRejected` for a disk that is not fit.
 */
export async function vetDisk(file: string, options: VetOptions): Promise<VettedDisk> {
  const { where, maxVirtualBytes } = options
  await using handle = await open(file, 'r')
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0)
  if (bytesRead === 0) throw rejected(`${where} is empty`)
  const format = detectFormat(buffer.subarray(0, bytesRead), where)
  const info = await readInfo(handle, format, options)
  checkInfo(info, format, where)
  const virtualSizeBytes = Number(info['virtual-size'])
  if (!(virtualSizeBytes > 0)) throw rejected(`${where} is a disk of no size`)
  if (virtualSizeBytes > maxVirtualBytes) {
    throw rejected(`${where} is a disk of ${virtualSizeBytes} bytes; at most ${maxVirtualBytes} are allowed`)
  }
  return { format, virtualSizeBytes }
}

async function readInfo(handle: FileHandle, format: string, options: VetOptions): Promise<JsonRecord> {
  const { qemuImg, where, signal } = options
  const command = [qemuImg, 'info', '--output=json', '-U', '-f', format, '/proc/self/fd/3']
  try {
    const info: unknown = JSON.parse(await runLimited(command, handle, signal))
    return isRecord(info) ? info : {}
  } catch (cause) {
    signal?.throwIfAborted()
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') {
      throw pullFailed('prlimit cannot be run: install util-linux', cause)
    }
    if (cause instanceof ChildFailed && cause.message.startsWith('prlimit:')) {
      throw pullFailed(`${qemuImg} cannot be run: install qemu-utils (${cause.message})`, cause)
    }
    throw rejected(`${where} is no usable ${format} disk: ${reasonOf(cause)}`, cause)
  }
}

/** What `detectFormat` has seen to already, asked of qemu-img's own reading once more. */
function checkInfo(info: JsonRecord, format: string, where: string): void {
  if (info.format !== format) throw rejected(`${where} is ${String(info.format)}, not ${format}`)
  for (const key of ['backing-filename', 'full-backing-filename', 'backing-filename-format']) {
    if (key in info) throw rejected(`${where} has a backing file; flatten it with qemu-img convert`)
  }
  const specific = isRecord(info['format-specific']) ? info['format-specific'].data : undefined
  const data = isRecord(specific) ? specific : {}
  if ('data-file' in data)
    throw rejected(`${where} keeps its data in another file; flatten it with qemu-img convert`)
  if (info.encrypted === true || 'encrypt' in data) throw rejected(`${where} is encrypted`)
  if (data.corrupt === true) throw rejected(`${where} is marked corrupt; repair it with qemu-img check -r`)
}
