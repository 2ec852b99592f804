import { BadMessage } from '../lib/bad-message.ts'

const NEWLINE = 0x0a

/**
 * The lines of a stream of bytes, without their ends. A half line at the end of the stream is dropped: its other half
 * was lost. Throws a `BadMessage` where a line is longer than the limit.
 */
export async function* readLines(
  source: AsyncIterable<Uint8Array>,
  limitBytes: number,
): AsyncGenerator<string> {
  let parts: Uint8Array[] = []
  let length = 0
  for await (const chunk of source) {
    let from = 0
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      parts.push(chunk.subarray(from, at))
      yield Buffer.concat(parts).toString('utf8')
      parts = []
      length = 0
      from = at + 1
    }
    parts.push(chunk.subarray(from))
    length += chunk.length - from
    if (length > limitBytes) throw new BadMessage('too_long', `a line is longer than ${limitBytes} bytes`)
  }
}
