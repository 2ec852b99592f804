import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import { backoffMs } from '../../lib/backoff.ts'
import { isSameJson } from '../../lib/json.ts'
import type { Log } from '../../lib/log.ts'
import { connectTo, type ExportTarget, formatTarget } from './export-target.ts'

/** What an exporter is made with. */
export interface ExporterOptions {
  /** Connects to the NBD server of the guest's QEMU. */
  dial: () => Promise<Socket>
  log: Log
}

/** What an NBD server says first: fixed newstyle, no zeroes. Source: NBD protocol, "Newstyle negotiation". */
const GREETING = Buffer.concat([Buffer.from('NBDMAGICIHAVEOPT'), Buffer.of(0, 3)])
/** Readers at the same time. */
const LINK_LIMIT = 16
const RETRY = { baseMs: 250, maxMs: 30_000 }

interface Export {
  target: ExportTarget
  stop: AbortController
}

/**
 * Brings the disks of a backup to a server that reads them: we connect to it, and on each connection it is the client
 * of an NBD server, the guest's QEMU. One connection is always there that it has not used yet.
 */
export class Exporter implements Disposable {
  readonly #options: ExporterOptions
  #current: Export | undefined

  constructor(options: ExporterOptions) {
    this.#options = options
  }

  /** Whether it does that, for this target where one is given. */
  isRunning(target?: ExportTarget): boolean {
    if (!this.#current) return false
    return target === undefined || isSameJson(this.#current.target, target)
  }

  /** Begins, in place of what it did before; `first` is a connection that is there already. Goes on until `end`. */
  begin(target: ExportTarget, first?: TLSSocket): void {
    this.end()
    const stop = new AbortController()
    this.#current = { target, stop }
    void this.#run(target, first, stop.signal)
  }

  /** Ends all connections. */
  end(): void {
    this.#current?.stop.abort()
    this.#current = undefined
  }

  [Symbol.dispose](): void {
    this.end()
  }

  async #run(target: ExportTarget, first: TLSSocket | undefined, signal: AbortSignal): Promise<void> {
    const { log } = this.#options
    const links = new Set<Promise<void>>()
    let ready = first
    let failures = 0
    while (!signal.aborted) {
      try {
        const peer = ready ?? (await connectTo(target, signal))
        ready = undefined
        await untilUsed(peer, signal)
        failures = 0
        const link: Promise<void> = this.#serve(peer, signal).finally(() => links.delete(link))
        links.add(link)
        if (links.size >= LINK_LIMIT) await Promise.race(links)
      } catch (error) {
        if (signal.aborted) return
        failures += 1
        if (failures === 1) log.warn({ err: error, to: formatTarget(target) }, 'a backup is not read for now')
        await sleep(backoffMs(RETRY, failures), undefined, { signal }).catch(() => {})
      }
    }
  }

  /** Never throws: what ends a connection is for the reader to see. */
  async #serve(peer: TLSSocket, signal: AbortSignal): Promise<void> {
    const { dial, log } = this.#options
    let nbd: Socket | undefined
    try {
      nbd = await dial()
      nbd.on('error', () => {})
      await skipGreeting(nbd, signal)
      await pipeline(peer, nbd, peer, { signal })
    } catch (error) {
      if (!signal.aborted) log.debug({ err: error }, 'a connection of a backup that is read has ended')
    } finally {
      nbd?.destroy()
      peer.destroy()
    }
  }
}

/**
 * Says what an NBD server says first and waits for what comes. QEMU itself is asked only then: it gives those 10 s
 * who say nothing. Throws where the connection ends.
 */
async function untilUsed(peer: TLSSocket, signal: AbortSignal): Promise<void> {
  try {
    peer.write(GREETING)
    await readable(peer, signal)
  } catch (error) {
    peer.destroy()
    throw error
  }
}

/** QEMU's own greeting, which we have promised to be this one. */
async function skipGreeting(nbd: Socket, signal: AbortSignal): Promise<void> {
  let said: Buffer | null = null
  while (said === null) {
    await readable(nbd, signal)
    said = nbd.read(GREETING.length) as Buffer | null
  }
  if (!said.equals(GREETING)) throw new Error("QEMU's NBD server greets in another way than expected")
}

/** Waits until there is something to read, and leaves it there. Throws where the stream ends. */
async function readable(stream: Duplex, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const look = (): void => {
    if (stream.readableLength > 0) resolve()
    else if (stream.readableEnded || stream.destroyed) ended()
  }
  const ended = (): void => reject(new Error('the connection was ended'))
  stream.on('readable', look).once('end', ended).once('close', ended).once('error', reject)
  signal.addEventListener('abort', ended)
  try {
    if (signal.aborted || stream.destroyed) ended()
    await promise
  } finally {
    stream.off('readable', look).off('end', ended).off('close', ended).off('error', reject)
    signal.removeEventListener('abort', ended)
  }
}
