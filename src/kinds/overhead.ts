/** What a guest takes beside its own memory. */
import { isQuantity, quantityToBytes } from '../lib/quantity.ts'
import type { VmiSpec } from './kubevirt.ts'

const MIB = 1024n * 1024n

/** QEMU itself, with a display, under emulation: the dearest case. Source: contract worker-qemu.md, measured. */
const PROCESS_BYTES = 115n * MIB

/** Eight bytes of page table for each page of 4 KiB. */
const BYTES_PER_TABLE_BYTE = 512n

/**
 * Bytes that a guest's process is reckoned to take beyond the guest's memory: of QEMU, of page tables, and what
 * `memory.reservedOverhead.addedOverhead` asks for. Part of no request: a guest's memory is what it sees.
 */
export function memoryOverheadBytes({ domain }: Pick<VmiSpec, 'domain'>): bigint {
  const guest = bytesOf(domain?.memory?.guest ?? domain?.resources?.requests?.['memory'])
  const added = bytesOf(domain?.memory?.reservedOverhead?.addedOverhead)
  const tables = guest / BYTES_PER_TABLE_BYTE
  return PROCESS_BYTES + (tables > 0n ? tables : 0n) + (added > 0n ? added : 0n)
}

function bytesOf(value: unknown): bigint {
  return isQuantity(value) ? quantityToBytes(value) : 0n
}
