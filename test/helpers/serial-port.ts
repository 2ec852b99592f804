import { once } from 'node:events'
import { open, mkdtemp, rm, type FileHandle } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** A guest's serial port as QEMU has it: what is printed goes to whoever is connected, then to a log, always. */
export class TestPort implements AsyncDisposable {
  readonly folder: string
  /** Where to connect. */
  readonly path: string
  /** Where it logs. */
  readonly file: string
  readonly #server: Server
  readonly #log: FileHandle
  #peer: Socket | undefined

  private constructor(folder: string, server: Server, log: FileHandle) {
    this.folder = folder
    this.path = join(folder, 'serial')
    this.file = join(folder, 'serial0.log')
    this.#server = server
    this.#log = log
    server.on('connection', (socket) => {
      socket.on('error', () => {})
      this.#peer = socket
    })
  }

  static async open(): Promise<TestPort> {
    const folder = await mkdtemp(join(tmpdir(), 'virtgate-port-'))
    const server = createServer()
    const port = new TestPort(folder, server, await open(join(folder, 'serial0.log'), 'a', 0o600))
    server.listen(port.path)
    await once(server, 'listening')
    return port
  }

  /** The other end, once it has connected. */
  async peer(): Promise<Socket> {
    while (!this.#peer) await sleep(1)
    return this.#peer
  }

  /** The guest prints. Waits for whoever is connected, as QEMU does. */
  async print(bytes: Buffer | string): Promise<void> {
    const peer = this.#peer
    if (peer && !peer.destroyed) await new Promise<void>((resolve) => peer.write(bytes, () => resolve()))
    await this.#log.appendFile(bytes)
  }

  /** Breaks the connection. */
  drop(): void {
    this.#peer?.destroy()
    this.#peer = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drop()
    this.#server.close()
    await this.#log.close()
    // Whoever keeps the log may be writing its index at this moment.
    await rm(this.folder, { recursive: true, maxRetries: 10, retryDelay: 20 })
  }
}
