import { appendFile, readFile } from 'node:fs/promises'
import type { Clock } from '../../lib/clock.ts'
import { writeDurably } from '../files/durable.ts'
import { unlessMissing } from '../files/errno.ts'

/** What came from this place of the log on came no earlier than this. */
export interface LogMark {
  position: number
  timeMs: number
}

/** What stands in an index file. */
export interface LogMarks {
  /** Position of the first byte of the log file. */
  base: number
  /** First position that is still kept. */
  floor: number
  /** By position, oldest first. */
  marks: LogMark[]
}

/** Between marks, in milliseconds; and how many there may be: a file of 1 MiB at most. */
const STEP_MS = 100
const MARK_LIMIT = 32_768
const HEADER = /^virtgate-console-index 1 (\d+) (\d+)$/

/**
 * When which part of a console log came: a small text file beside it, a line `position milliseconds` for each mark.
 * What a crash leaves of the last line is not read; the file is written anew each time the head of the log is cut off.
 */
export class LogIndex {
  readonly #file: string
  readonly #clock: Clock
  #lastMs = Number.NEGATIVE_INFINITY
  #lastPosition = -1
  #marks = 0
  #pending = ''
  #writing: Promise<void> = Promise.resolve()

  constructor(file: string, clock: Clock) {
    this.#file = file
    this.#clock = clock
  }

  /** What is written down; nothing where there is no file, or one of another form. Throws the system's error. */
  async load(): Promise<LogMarks> {
    await this.#writing
    const found = parse((await unlessMissing(readFile(this.#file, 'utf8'))) ?? '')
    const last = found.marks.at(-1)
    this.#marks = found.marks.length
    if (last) {
      this.#note(last)
    }
    return found
  }

  /** From `position` on it came now, or at `timeMs`. */
  mark(position: number, timeMs = this.#clock.now()): void {
    // A clock that was set back goes on from there.
    if (Math.abs(timeMs - this.#lastMs) < STEP_MS || position <= this.#lastPosition) return
    this.#note({ position, timeMs })
    this.#marks += 1
    this.#pending += `${position} ${timeMs}\n`
  }

  /** The newest mark. */
  get last(): LogMark | undefined {
    return this.#lastPosition < 0 ? undefined : { position: this.#lastPosition, timeMs: this.#lastMs }
  }

  /** Whether there are marks to be written. */
  get isDirty(): boolean {
    return this.#pending !== ''
  }

  /** Whether it has grown so long that it is to be rewritten. */
  get isFull(): boolean {
    return this.#marks > MARK_LIMIT
  }

  /** Writes down what was marked. Throws the system's error. */
  async save(): Promise<void> {
    return this.#next(async () => {
      const text = this.#pending
      this.#pending = ''
      if (text !== '') await appendFile(this.#file, text, { mode: 0o600 })
    })
  }

  /** Writes it anew, for a log whose file begins at `base` and of which all before `floor` is gone. Lasts. */
  async rewrite(base: number, floor: number): Promise<void> {
    await this.save()
    const { marks } = await this.load()
    return this.#next(async () => {
      // The last one before the cut says when what stands there came.
      const first = marks.findLastIndex(({ position }) => position <= floor)
      let kept = marks.slice(Math.max(first, 0))
      while (kept.length > MARK_LIMIT / 2) kept = kept.filter((_mark, index) => index % 2 === 0)
      const lines = kept.map(({ position, timeMs }) => `${position} ${timeMs}\n`)
      await writeDurably(this.#file, `virtgate-console-index 1 ${base} ${floor}\n${lines.join('')}`)
      this.#marks = kept.length
    })
  }

  #note({ position, timeMs }: LogMark): void {
    if (position <= this.#lastPosition) return
    this.#lastPosition = position
    this.#lastMs = timeMs
  }

  #next(run: () => Promise<void>): Promise<void> {
    const written = this.#writing.then(run)
    this.#writing = written.catch(() => {})
    return written
  }
}

function parse(text: string): LogMarks {
  // The last line is whole where it is ended.
  const lines = text.split('\n').slice(0, -1)
  const header = HEADER.exec(lines[0] ?? '')
  const marks: LogMark[] = []
  for (const line of lines) {
    const [, position, timeMs] = /^(\d{1,15}) (\d{1,15})$/.exec(line) ?? []
    if (position !== undefined) marks.push({ position: Number(position), timeMs: Number(timeMs) })
  }
  const isOrdered = marks.every(({ position }, index) => position >= (marks[index - 1]?.position ?? 0))
  return {
    base: Number(header?.[1] ?? 0),
    floor: Number(header?.[2] ?? 0),
    marks: isOrdered ? marks : marks.toSorted((left, right) => left.position - right.position),
  }
}

/** When what stands at `position` came; `undefined` where nobody was there to see. */
export function timeAt(marks: readonly LogMark[], position: number): number | undefined {
  let low = 0
  let high = marks.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((marks[middle]?.position ?? 0) <= position) low = middle + 1
    else high = middle
  }
  return marks[low - 1]?.timeMs
}
