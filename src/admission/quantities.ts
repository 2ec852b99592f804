import { isQuantity, quantityToBytes, quantityToMilli, type QuantityText } from '../lib/quantity.ts'

/** A whole number from a quantity, rounded away from zero; 0 where it is absent. Contract: PRIM-010, val(q). */
export function wholeOf(quantity: QuantityText | undefined): bigint {
  return isQuantity(quantity) ? quantityToBytes(quantity) : 0n
}

/** The same in thousandths. Contract: PRIM-010, milli(q). */
export function milliOf(quantity: QuantityText | undefined): bigint {
  return isQuantity(quantity) ? quantityToMilli(quantity) : 0n
}
