/** What a value looks like in JSON; how it is written in protocol buffers follows from that. */
export type Scalar =
  | 'text'
  /** Base64 in JSON. */
  | 'bytes'
  | 'flag'
  | 'integer'
  /** `metav1.Time`: RFC 3339, whole seconds. */
  | 'time'
  /** `metav1.MicroTime`: RFC 3339 with six digits. */
  | 'microTime'
  /** `resource.Quantity`: its text in a message of one field. */
  | 'quantity'
  /** `FieldsV1` and `RawExtension`: JSON in a message of one field. */
  | 'json'
  /** `ExtraValue`: a list of texts in a message of one field. */
  | 'texts'

/** One value. What is `kept` is told in JSON even where it is empty, 0 or false. */
export interface ScalarShape {
  is: Scalar
  isKept?: true
}

/** A value of any kind. */
export type Shape = ScalarShape | { is: 'message'; fields: Fields } | { is: 'list' | 'map'; of: Shape }

/** The fields of a message by their numbers. */
export type Fields = Readonly<Record<number, readonly [name: string, shape: Shape]>>

export const TEXT: ScalarShape = { is: 'text' }
export const BYTES: ScalarShape = { is: 'bytes' }
export const FLAG: ScalarShape = { is: 'flag' }
export const INTEGER: ScalarShape = { is: 'integer' }
export const TIME: ScalarShape = { is: 'time' }
export const MICRO_TIME: ScalarShape = { is: 'microTime' }
export const QUANTITY: ScalarShape = { is: 'quantity' }
export const JSON_VALUE: ScalarShape = { is: 'json' }
export const TEXTS: ScalarShape = { is: 'texts' }

/**
 * A field that JSON has whenever the wire has it. In Go's types that is a pointer, or a field without `omitempty`;
 * all others are on the wire even where they are unset, and must not come out of it as empty.
 */
export function kept({ is }: ScalarShape): ScalarShape {
  return { is, isKept: true }
}

/** A message in a message. */
export function message(fields: Fields): Shape {
  return { is: 'message', fields }
}

/** A field that is written once for each element. */
export function list(of: Shape): Shape {
  return { is: 'list', of }
}

/** A field that is written once for each entry; its keys are texts. */
export function map(of: Shape): Shape {
  return { is: 'map', of }
}
