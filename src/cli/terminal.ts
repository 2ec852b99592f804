import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { KubeStream } from '../kube/stream.ts'
import type { CommandContext } from './context.ts'

/** Ctrl+], as virtctl and telnet have it. */
const ESCAPE = 0x1d

/** The stream ended in another way than by the guest's or the user's wish. */
export class StreamLost extends Error {
  constructor(code: number, reason: string) {
    const why = reason || (code === 1006 ? 'the connection was cut' : `code ${code}`)
    super(`the connection to the guest ended: ${why}`)
    this.name = 'StreamLost'
  }
}

/**
 * Joins a stream and this terminal until either side ends: the guest, Ctrl+], or the end of standard input. Raw mode
 * is switched on for the time being. Throws `StreamLost`.
 */
export async function attachTerminal({ duplex, ended }: KubeStream, context: CommandContext): Promise<void> {
  const { stdin, stdout } = context
  const left = new AbortController()
  const untilEscape = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const at = chunk.indexOf(ESCAPE)
      if (at === -1) return done(null, chunk)
      left.abort()
      done(null, chunk.subarray(0, at))
    },
  })
  const wasRaw = stdin.isRaw
  if (stdin.isTTY) stdin.setRawMode(true)
  try {
    duplex.on('data', (chunk: Buffer) => {
      if (!stdout.write(chunk)) {
        duplex.pause()
        stdout.once('drain', () => duplex.resume())
      }
    })
    const signal = AbortSignal.any([left.signal, context.signal])
    // Without a terminal, the end of standard input does not end the console: what is asked for is its output.
    const input = pipeline(stdin, untilEscape, duplex, { signal, end: stdin.isTTY }).catch(
      (error: unknown) => {
        if (!signal.aborted && !duplex.destroyed) throw error
      },
    )
    const end = await Promise.race([ended, aborted(signal)])
    duplex.destroy()
    await input
    if (end && end.code !== 1000) throw new StreamLost(end.code, end.reason)
  } finally {
    if (stdin.isTTY) stdin.setRawMode(wasRaw)
    stdin.pause()
  }
}

async function aborted(signal: AbortSignal): Promise<undefined> {
  if (signal.aborted) return undefined
  const { promise, resolve } = Promise.withResolvers<undefined>()
  signal.addEventListener('abort', () => resolve(undefined), { once: true })
  return promise
}
