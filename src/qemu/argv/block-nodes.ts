import { createHash } from 'node:crypto'
import type { DiskFile } from '../plan.ts'

/** Names of a volume's block nodes. They have 31 bytes, a volume's name up to 63. Source: contract 1.1. */
export interface NodeNames {
  /** What a device is attached to, and jobs work on. */
  format: string
  file: string
  backingFormat: string
  backingFile: string
}

/** The same names for the same volume, wherever it runs. */
export function nodeNamesOf(volume: string): NodeNames {
  const base = `v${createHash('sha256').update(volume).digest('hex').slice(0, 8)}`
  return {
    format: `${base}-fmt`,
    file: `${base}-file`,
    backingFormat: `${base}-bfmt`,
    backingFile: `${base}-bfile`,
  }
}

/** How the nodes treat the host. */
export interface NodeOptions {
  readOnly: boolean
  /** Past the host's page cache. */
  direct: boolean
  aio: 'native' | 'threads'
  /** Whether several QEMUs may write at once. */
  shareable: boolean
}

/**
 * The `-blockdev` of a volume: its format on its file. Formats are stated and backing files named, or said not to
 * be there, so that nothing a guest wrote decides what QEMU opens.
 */
export function buildBlockNode(disk: DiskFile, options: NodeOptions): object {
  const names = nodeNamesOf(disk.name)
  const { readOnly } = options
  return {
    driver: disk.format,
    'node-name': names.format,
    'read-only': readOnly,
    ...(!readOnly && { discard: 'unmap' }),
    cache: cacheOf(options),
    file: protocolNode(disk, names.file, options),
    ...(disk.format === 'qcow2' && { backing: backingOf(disk, names, options) }),
  }
}

function protocolNode(
  { file, blockDevice }: Pick<DiskFile, 'file' | 'blockDevice'>,
  name: string,
  options: NodeOptions,
): object {
  const { readOnly, aio, shareable } = options
  return {
    driver: blockDevice ? 'host_device' : 'file',
    'node-name': name,
    filename: file,
    'read-only': readOnly,
    aio,
    ...(!readOnly && { discard: 'unmap' }),
    cache: cacheOf(options),
    ...(shareable && { locking: 'off' }),
  }
}

function backingOf({ backing }: DiskFile, names: NodeNames, options: NodeOptions): object | null {
  if (!backing) return null
  const readOnly = { ...options, readOnly: true, shareable: false }
  return {
    driver: backing.format,
    'node-name': names.backingFormat,
    'read-only': true,
    cache: cacheOf(options),
    file: protocolNode({ file: backing.file }, names.backingFile, readOnly),
    ...(backing.format === 'qcow2' && { backing: null }),
  }
}

function cacheOf({ direct }: NodeOptions): object {
  return { direct, 'no-flush': false }
}
