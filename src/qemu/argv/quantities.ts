import type { FieldPath } from '../../lib/field-path.ts'
import { isQuantity, quantityToBytes, quantityToMilli } from '../../lib/quantity.ts'
import { invalidConfig } from './error.ts'

/** Bytes in a quantity of a spec. Throws `InvalidConfiguration` where it is none. */
export function readBytes(text: string, at: FieldPath): number {
  return Number(quantityToBytes(checkQuantity(text, at)))
}

/** CPUs in a quantity of a spec, rounded up to whole ones. Throws `InvalidConfiguration` where it is none. */
export function readCpus(text: string, at: FieldPath): number {
  return Math.ceil(Number(quantityToMilli(checkQuantity(text, at))) / 1000)
}

function checkQuantity(text: string, at: FieldPath): string {
  if (isQuantity(text)) return text
  throw invalidConfig(at, `${JSON.stringify(text)} is no quantity: write a number and a unit, such as 512Mi`)
}
