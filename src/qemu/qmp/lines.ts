import type { Readable } from 'node:stream'

/** The answer to `query-qmp-schema` is 200 KiB; nothing sane comes near this. */
const LINE_LIMIT = 32 * 1024 * 1024
const NEWLINE = 0x0a

/**
 * Calls `take` with every line of a stream, without its end. `fail` is called, once, where a line is longer
 * than a monitor would send; nothing is read after that.
 */
export function readLines(
  stream: Readable,
  take: (line: string) => void,
  fail: (error: Error) => void,
): void {
  let parts: Buffer[] = []
  let length = 0
  stream.on('data', (chunk: Buffer) => {
    let rest = chunk
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
      const line = Buffer.concat([...parts, rest.subarray(0, end)]).toString('utf8')
      parts = []
      length = 0
      rest = rest.subarray(end + 1)
      take(line.trim())
    }
    length += rest.length
    if (length > LINE_LIMIT) {
      stream.pause()
      fail(new RangeError(`a line of more than ${LINE_LIMIT} bytes`))
      return
    }
    if (rest.length > 0) parts.push(rest)
  })
}
