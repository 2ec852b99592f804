/** Writes the wire format of protocol buffers, for bodies that kubectl would not send. */

/** A field whose value is bytes, a text or a message. */
export function bytes(number: number, value: Buffer | string): Buffer {
  const content = Buffer.from(value)
  return Buffer.concat([tag(number, 2), varint(content.length), content])
}

/** A field whose value is a number or a flag. */
export function integer(number: number, value: bigint | number): Buffer {
  return Buffer.concat([tag(number, 0), varint(value)])
}

export function tag(number: number, wire: number): Buffer {
  return varint(number * 8 + wire)
}

export function varint(value: bigint | number): Buffer {
  const groups: number[] = []
  let rest = BigInt.asUintN(64, BigInt(value))
  do {
    groups.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0))
    rest >>= 7n
  } while (rest > 0n)
  return Buffer.from(groups)
}

/** A whole body: Kubernetes' envelope around the fields of an object. */
export function envelope(apiVersion: string, kind: string, ...fields: Buffer[]): Buffer {
  const type = Buffer.concat([bytes(1, apiVersion), bytes(2, kind)])
  return Buffer.concat([Buffer.from('k8s\0'), bytes(1, type), bytes(2, Buffer.concat(fields))])
}
