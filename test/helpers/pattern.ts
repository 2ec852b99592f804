/** Bytes that do not repeat, so that any that is lost, doubled or moved shows. */
export function pattern(bytes: number, seed = 1): Buffer {
  const buffer = Buffer.allocUnsafe(bytes)
  let state = seed
  for (let at = 0; at < bytes; at += 1) {
    // Source: "Xorshift RNGs", Marsaglia 2003.
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    buffer[at] = state & 0xff
  }
  return buffer
}
