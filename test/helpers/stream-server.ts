import { once } from 'node:events'
import { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import { WebSocket, type ClientOptions } from 'ws'
import type { ServerOptions } from '../../src/http/server.ts'
import type { Stream, Subresource } from '../../src/subresources/subresource.ts'
import { VMIS } from '../../src/kinds/table.ts'
import { ALICE, apiOf, type TestApi } from './api.ts'

/** A guest's side of a stream: what the client sent, and a way to answer. */
export class StreamGuest extends Duplex {
  received: Buffer[] = []
  hasEnded = false
  override _read(): void {}
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.received.push(chunk)
    done()
  }
  override _final(done: () => void): void {
    this.hasEnded = true
    done()
  }

  bytes(): Buffer {
    return Buffer.concat(this.received)
  }
}

/** A stream of VMIs called `test` that leads to whatever `open` gives. */
export function streamOf(open: Stream['open'], more: Partial<Stream> = {}): Stream {
  return {
    type: 'stream',
    resource: VMIS,
    name: 'test',
    method: 'GET',
    verb: 'get',
    kind: 'TestOptions',
    description: 'A stream for tests.',
    open,
    ...more,
  }
}

/** Where streams of `vm1` are, up to the subresource. */
export const VMI_PATH = '/apis/subresources.kubevirt.io/v1/namespaces/ns1/virtualmachineinstances/vm1'

export interface StreamServer extends TestApi {
  port: number
  dial(path: string, protocols?: string[], options?: ClientOptions): WebSocket
}

/** A server that listens, with the given subresources, without TLS unless `options` say so; it ends with the test. */
export async function serveStreams(
  subresources: readonly Subresource[],
  given: Parameters<typeof apiOf>[0] = {},
  options: Partial<ServerOptions> = {},
): Promise<StreamServer> {
  const api = apiOf(given, { subresources, ...options })
  onTestFinished(() => api.app.close())
  await api.app.listen({ port: 0, host: '127.0.0.1' })
  const address = api.app.server.address()
  if (typeof address !== 'object' || !address) throw new Error('not listening')
  const { port } = address
  return {
    ...api,
    port,
    dial: (path, protocols = ['plain.kubevirt.io'], more = {}) =>
      new WebSocket(`ws://127.0.0.1:${port}${VMI_PATH}${path}`, protocols, {
        headers: ALICE,
        perMessageDeflate: false,
        ...more,
      }),
  }
}

/** The Status with which a handshake was refused. */
export async function refusalOf(socket: WebSocket) {
  socket.on('error', () => {})
  const [, response] = await once(socket, 'unexpected-response')
  let text = ''
  for await (const chunk of response) text += String(chunk)
  const body: { code: number; reason: string; message: string } = JSON.parse(text)
  return { code: Number(response.statusCode), headers: response.headers, text, body }
}

/** Waits until it holds; the test's own limit is the limit. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(5)
}
