import type { Clock } from '../../lib/clock.ts'
import { StreamEnded } from '../../lib/stream-end.ts'
import type { ConsoleLogOptions } from '../../rpc/actions.ts'
import type { ConsoleLog, LogCursor } from './console-log.ts'
import { type LogMark, timeAt } from './log-index.ts'
import { findRange } from './log-range.ts'

/** Bytes of the log and the place of the first. */
interface Piece {
  position: number
  bytes: Buffer
}

/** QEMU writes to the log just after it has told us; then, and when a guest is silent, this is how often is looked. */
const LOOK_MS = 1_000
const NEWLINE = 0x0a

/**
 * What a guest has printed, as it is asked for; with `follow` also what it prints from now on, until the guest or
 * `signal` ends it. Throws `StreamEnded` where the reader is too slow or the worker ends, and the system's error.
 */
export async function* readConsoleLog(
  log: ConsoleLog,
  options: ConsoleLogOptions,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): AsyncGenerator<Buffer, void, void> {
  await log.size()
  // From the first place on, so that nothing is cut off while it is searched for where to begin.
  await using cursor = log.read(log.floor)
  const { start, end, marks } = await findRange(log, options)
  cursor.position = start
  const pieces = options.follow ? follow(log, cursor, clock, signal) : readTo(cursor, end)
  const lines = options.timestamps ? withTimes(pieces, log, marks, clock) : bytesOf(pieces)
  let left = options.limitBytes ?? Infinity
  for await (const bytes of lines) {
    if (signal.aborted) return
    yield bytes.length > left ? bytes.subarray(0, left) : bytes
    left -= bytes.length
    if (left <= 0) return
  }
}

async function* readTo(cursor: LogCursor, end: number): AsyncGenerator<Piece, void, void> {
  for (;;) {
    const { position } = cursor
    const bytes = await cursor.read(end)
    if (bytes.length === 0) return
    yield { position, bytes }
  }
}

async function* follow(
  log: ConsoleLog,
  cursor: LogCursor,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<Piece, void, void> {
  while (!signal.aborted) {
    let isNews = false
    using _listener = log.onMore(() => (isNews = true))
    // Looked at before the file is read: what came until then is in it.
    const isLast = log.ending.aborted
    yield* readTo(cursor, Infinity)
    if (isLast) {
      // A worker that ends says so; a guest that has ended ends its log.
      if (log.ending.reason instanceof StreamEnded) throw log.ending.reason
      return
    }
    if (!isNews) await nextNews(log, clock, signal)
  }
}

/** Settles when the guest prints or ends, when `signal` aborts, or after a while. */
async function nextNews(log: ConsoleLog, clock: Clock, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const stop = (): void => resolve()
  using _listener = log.onMore(resolve)
  using _timer = clock.after(LOOK_MS, resolve)
  for (const one of [signal, log.ending]) one.addEventListener('abort', stop, { once: true })
  if (!signal.aborted && !log.ending.aborted) await promise
  for (const one of [signal, log.ending]) one.removeEventListener('abort', stop)
}

async function* bytesOf(pieces: AsyncGenerator<Piece, void, void>): AsyncGenerator<Buffer, void, void> {
  for await (const { bytes } of pieces) yield bytes
}

/** Puts before each line when it came: when its first byte did. Lines are not collected: one may never end. */
async function* withTimes(
  pieces: AsyncGenerator<Piece, void, void>,
  log: ConsoleLog,
  marks: LogMark[],
  clock: Clock,
): AsyncGenerator<Buffer, void, void> {
  let isStart = true
  let known = marks
  for await (const { position, bytes } of pieces) {
    const { lastMark } = log
    // What came since they were read has a mark of its own; what is behind us needs none any more.
    if (lastMark && lastMark.position > (known.at(-1)?.position ?? -1)) known.push(lastMark)
    known = known.slice(
      Math.max(
        known.findLastIndex((mark) => mark.position <= position),
        0,
      ),
    )
    const parts: Buffer[] = []
    for (let at = 0; at < bytes.length;) {
      if (isStart) parts.push(Buffer.from(`${timeOf(known, position + at, clock)} `))
      const found = bytes.indexOf(NEWLINE, at)
      const next = found < 0 ? bytes.length : found + 1
      parts.push(bytes.subarray(at, next))
      isStart = found >= 0
      at = next
    }
    yield Buffer.concat(parts)
  }
}

function timeOf(marks: LogMark[], position: number, clock: Clock): string {
  return new Date(timeAt(marks, position) ?? marks[0]?.timeMs ?? clock.now()).toISOString()
}
