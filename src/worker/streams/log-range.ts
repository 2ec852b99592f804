import type { ConsoleLogOptions } from '../../rpc/actions.ts'
import type { ConsoleLog } from './console-log.ts'
import { timeAt, type LogMark } from './log-index.ts'

/** Which bytes of a console log are asked for. */
export interface LogRange {
  /** The first byte of a line. */
  start: number
  /** Behind the last byte that is there now. */
  end: number
  marks: LogMark[]
}

const BLOCK = 64 * 1024
const NEWLINE = 0x0a

/** Finds the bytes that are asked for. Throws the system's error. */
export async function findRange(
  log: ConsoleLog,
  { tailLines, sinceTime }: Pick<ConsoleLogOptions, 'tailLines' | 'sinceTime'>,
): Promise<LogRange> {
  const end = await log.size()
  const marks = await log.marks()
  const floor = Math.min(log.floor, end)
  let start = floor === 0 ? 0 : await nextLine(log, floor, end)
  if (sinceTime !== undefined) {
    start = Math.max(start, await firstSince(log, { start, end, marks }, Date.parse(sinceTime)))
  }
  if (tailLines !== undefined) start = Math.max(start, await lastLines(log, { start, end }, tailLines))
  return { start, end, marks }
}

/** Begin of the first line of which it is known that it came at that time or later. */
async function firstSince(
  log: ConsoleLog,
  { start, end, marks }: LogRange,
  sinceMs: number,
): Promise<number> {
  const first = marks.find(({ timeMs }) => timeMs >= sinceMs)
  if (!first) return end
  // Nobody has seen when the first bytes came.
  if (first === marks[0] && (timeAt(marks, start) ?? sinceMs) >= sinceMs) return start
  return first.position <= start ? start : nextLine(log, first.position, end)
}

/** Begin of the first line that begins at `from` or later; `end` where there is none. */
async function nextLine(log: ConsoleLog, from: number, end: number): Promise<number> {
  await using cursor = log.read(Math.max(from - 1, log.floor))
  for (;;) {
    const before = cursor.position
    const bytes = await cursor.read(end)
    if (bytes.length === 0) return end
    const found = bytes.indexOf(NEWLINE)
    if (found >= 0) return before + found + 1
  }
}

/** Begin of the last `count` lines between two places; a last line without an end counts. */
async function lastLines(
  log: ConsoleLog,
  { start, end }: { start: number; end: number },
  count: number,
): Promise<number> {
  if (count === 0) return end
  // What ends the last line is no line of its own.
  let wanted = count + 1
  for (let to = end; to > start;) {
    const from = Math.max(to - BLOCK, start)
    await using cursor = log.read(from)
    const bytes = await cursor.read(to)
    // It has become shorter while we looked.
    if (bytes.length < to - from) return to
    if (to === end && bytes.at(-1) !== NEWLINE) wanted -= 1
    for (
      let at = bytes.lastIndexOf(NEWLINE);
      at >= 0;
      at = at === 0 ? -1 : bytes.lastIndexOf(NEWLINE, at - 1)
    ) {
      wanted -= 1
      if (wanted === 0) return from + at + 1
    }
    to = from
  }
  return start
}
