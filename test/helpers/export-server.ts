import { once } from 'node:events'
import { createServer as createPlainServer, type Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { createServer, type TLSSocket } from 'node:tls'
import type { KeyPair } from '../../certs/issue.ts'

/**
 * Who reads a backup: nodes connect to it over mutual TLS, and on a unix socket it hands these connections on to local
 * clients of NBD, such as `qemu-img`.
 */
export class ExportServer implements AsyncDisposable {
  readonly #waiting: TLSSocket[] = []
  readonly #sockets = new Set<Socket>()
  #wake = Promise.withResolvers<void>()
  readonly #tls
  readonly #local
  /** Subjects of those who have connected. */
  readonly peers: string[] = []

  private constructor(pair: KeyPair, ca: string) {
    this.#tls = createServer({ ...pair, ca, requestCert: true, rejectUnauthorized: true }, (peer) => {
      this.#keep(peer)
      this.peers.push(peer.getPeerX509Certificate()?.subject ?? '')
      this.#waiting.push(peer)
      this.#wake.resolve()
      this.#wake = Promise.withResolvers<void>()
    })
    this.#local = createPlainServer((client) => {
      this.#keep(client)
      void this.#join(client)
    })
  }

  static async open(pair: KeyPair, ca: string, socket: string): Promise<ExportServer> {
    const server = new ExportServer(pair, ca)
    server.#tls.listen(0, '127.0.0.1')
    server.#local.listen(socket)
    await Promise.all([once(server.#tls, 'listening'), once(server.#local, 'listening')])
    return server
  }

  /** `HOST:PORT`, where nodes connect to. */
  get address(): string {
    const at = this.#tls.address()
    return `127.0.0.1:${typeof at === 'object' ? at?.port : ''}`
  }

  /** Ends all connections. */
  hangUp(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.hangUp()
    this.#tls.close()
    this.#local.close()
    await Promise.all([once(this.#tls, 'close'), once(this.#local, 'close')])
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket))
  }

  async #join(client: Socket): Promise<void> {
    const peer = await this.#next()
    await pipeline(client, peer, client).catch(() => {})
    client.destroy()
    peer.destroy()
  }

  async #next(): Promise<TLSSocket> {
    for (;;) {
      // The newest: those before it may be of a worker that is no more.
      const peer = this.#waiting.pop()
      if (peer && !peer.destroyed) return peer
      if (peer) continue
      await this.#wake.promise
    }
  }
}
