import type { FieldPath } from '../../lib/field-path.ts'
import type { DiskFile } from '../plan.ts'
import type { NodeOptions } from './block-nodes.ts'
import { invalidConfig, resourceMissing, unsupportedDevice } from './error.ts'
import { checkText, type DiskSpec, isOn, oneOf } from './spec.ts'

/** A disk of the spec with what it stands on; `at` is its field. */
export interface Attached {
  spec: DiskSpec
  at: FieldPath
  file: DiskFile
}

const CACHES = ['none', 'writethrough', 'writeback'] as const
const ERROR_ACTIONS = {
  stop: { werror: 'stop', rerror: 'stop' },
  report: { werror: 'report', rerror: 'report' },
  ignore: { werror: 'ignore', rerror: 'ignore' },
  enospace: { werror: 'enospc', rerror: 'report' },
} as const
/** QEMU's own bounds of a block. */
const BLOCK_SIZES = { least: 512, most: 2 * 1024 ** 2 }
const SERIAL_LIMIT = 256

type Cache = (typeof CACHES)[number]

/** Caching as the spec has it; else past the page cache where that works, with every write through it otherwise. */
function cacheOf({ spec, at, file }: Attached): Cache {
  const field = at.child('cache')
  const fallback = spec.shareable || file.directIo ? 'none' : 'writethrough'
  const cache = oneOf(spec.cache, CACHES, fallback, field)
  if (spec.shareable && cache !== 'none')
    throw invalidConfig(field, 'a shareable disk is never cached: use none, or leave it out')
  if (cache === 'none' && file.directIo === false) {
    throw resourceMissing(
      field,
      'the file system of the volume cannot be used past the page cache: use writethrough or writeback, or another file system',
    )
  }
  return cache
}

/** How QEMU opens the disk's file. Throws `GuestConfigError` where the spec asks for what does not go together. */
export function nodeOptionsOf(disk: Attached, readOnly: boolean): NodeOptions {
  const { spec, at, file } = disk
  const direct = cacheOf(disk) === 'none'
  const io = oneOf(
    spec.io,
    ['native', 'threads'],
    file.blockDevice && direct ? 'native' : 'threads',
    at.child('io'),
  )
  if (io === 'native' && !direct) throw invalidConfig(at.child('io'), 'native needs cache: none')
  if (spec.shareable && file.format !== 'raw') {
    throw invalidConfig(
      at.child('shareable'),
      `a ${file.format} image breaks when two guests write to it: share a raw one`,
    )
  }
  return { readOnly, direct, aio: io, shareable: spec.shareable === true }
}

/** What the guest's device is told of the disk. Throws `GuestConfigError`. */
export function devicePropertiesOf(disk: Attached): object {
  const { spec, at } = disk
  const policy = oneOf(
    spec.errorPolicy,
    ['stop', 'report', 'ignore', 'enospace'],
    'stop',
    at.child('errorPolicy'),
  )
  return {
    'write-cache': cacheOf(disk) === 'writethrough' ? 'off' : 'on',
    ...ERROR_ACTIONS[policy],
    ...(spec.serial && { serial: checkText(spec.serial, at.child('serial'), SERIAL_LIMIT) }),
    ...(spec.shareable && { 'share-rw': true }),
    ...blockSizesOf(disk),
  }
}

function blockSizesOf({ spec, at, file }: Attached): object {
  const { custom, matchVolume } = spec.blockSize ?? {}
  const field = at.child('blockSize')
  if (custom && isOn(matchVolume)) throw invalidConfig(field, 'has both custom and matchVolume: remove one')
  if (isOn(matchVolume)) return matchedSizes(file, field.child('matchVolume'))
  if (!custom) return {}
  const { logical = 0, physical = 0, discardGranularity } = custom
  checkBlockSize(logical, field.child('custom', 'logical'))
  checkBlockSize(physical, field.child('custom', 'physical'))
  if (logical > physical)
    throw invalidConfig(field.child('custom'), 'logical blocks are larger than physical ones: swap the two')
  if (discardGranularity && discardGranularity % logical !== 0) {
    throw invalidConfig(
      field.child('custom', 'discardGranularity'),
      `is no multiple of the logical ${logical}: use one`,
    )
  }
  return sizes(logical, physical, discardGranularity)
}

function matchedSizes({ blockSize }: DiskFile, at: FieldPath): object {
  if (!blockSize) throw unsupportedDevice(at, 'the block size of this volume is not known: use custom')
  return sizes(blockSize.logical, blockSize.physical)
}

function sizes(logical: number, physical: number, granularity?: number): object {
  return {
    logical_block_size: logical,
    physical_block_size: physical,
    ...(granularity !== undefined && { discard_granularity: granularity }),
  }
}

function checkBlockSize(size: number, at: FieldPath): void {
  if (size >= BLOCK_SIZES.least && size <= BLOCK_SIZES.most && Number.isInteger(Math.log2(size))) return
  throw invalidConfig(
    at,
    `${size} is no block size: use a power of two from ${BLOCK_SIZES.least} to ${BLOCK_SIZES.most}`,
  )
}
