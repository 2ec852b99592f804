import { open } from 'node:fs/promises'

/** A message is near the end; a log that a guest made grow is not read whole. */
const TAIL_BYTES = 64 * 1024
const PREFIX = /\bqemu-(?:system-[\w-]+|kvm): /
/** QEMU puts the argument it speaks of in front. */
const ARGUMENT = /^-[\w-]+ \{.*\}: /
const HOST_PATH = /(?<![\w./-])\/(?!dev\/)(?:[^\s/'":,]+\/)+([^\s/'":,]*)/g

/**
 * What QEMU said last before it gave up, fit for a user to see: directories of the host are cut from file names.
 * Warnings count only where there is nothing else. Empty where QEMU said nothing.
 *
 * `fromByte` leaves out what earlier starts wrote: `logOffset` of `spawnQemu`. Throws the system's error where
 * the file cannot be read.
 */
export async function lastQemuError(logFile: string, fromByte = 0): Promise<string> {
  return messageIn(await readTail(logFile, fromByte))
}

/** The same of what QEMU wrote, as one text. */
export function messageIn(output: string): string {
  const lines = output.split('\n').filter((line) => line.trim() !== '')
  const said = lines.filter((line) => PREFIX.test(line)).map(messageOf)
  const errors = said.filter((message) => !message.startsWith('warning: '))
  return scrubPaths(errors.at(-1) ?? said.at(-1) ?? lines.at(-1) ?? '')
}

/** The same text with `/dir/of/the/host/file` as `file`. Device files stay, as they say what is missing. */
export function scrubPaths(text: string): string {
  return text.replaceAll(HOST_PATH, '$1')
}

function messageOf(line: string): string {
  return (line.split(PREFIX).at(-1) ?? line).replace(ARGUMENT, '')
}

async function readTail(file: string, fromByte: number): Promise<string> {
  await using handle = await open(file, 'r')
  const { size } = await handle.stat()
  // A log that was cut has none of what earlier starts wrote at its head.
  const start = Math.max(fromByte <= size ? fromByte : 0, size - TAIL_BYTES)
  if (start >= size) return ''
  const buffer = Buffer.alloc(size - start)
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, start)
  return buffer.toString('utf8', 0, bytesRead)
}
