/** How a server goes away: whoever has asked is answered, and whoever asks later goes elsewhere. */
import type { Http2ServerRequest, Http2ServerResponse, ServerHttp2Session } from 'node:http2'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Server as TlsServer, type TLSSocket } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import { wait, type Clock } from '../lib/clock.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Whether it has begun to close. */
    isClosing(): boolean
  }
}

/** What a client has sent before it learns that its connection is closed may take so long to get here. */
const ON_ITS_WAY_MS = 100
/** All who have a part in an answer listen for its end, a pipeline several times: Node would warn of the eleventh. */
const LISTENERS = 20
/** How long answers that are under way may take when the server closes. */
const ANSWERING_MS = 2_000

/**
 * Makes closing gentle, and end. From its beginning connections are let go of: those on which nothing is asked are cut,
 * HTTP/1.1 learns with its next answer that it was the last, HTTP/2 is told at once. What is asked all the same is answered, until
 * `drain` is done with the connections that have become streams; then the rest is cut. Left to Node, a client that has connected and
 * says nothing would keep the server from closing for as long as it likes.
 */
export function closeGently(app: FastifyInstance, clock: Clock, drain = async (): Promise<void> => {}): void {
  const connections = followConnections(app)
  const answers = followAnswers(app)
  let isClosing = false
  let isOver = false
  app.decorate('isClosing', () => isClosing)
  app.server.on('secureConnection', (socket) => {
    // Its handshake was under way when the others were cut.
    if (isOver) socket.destroy()
  })
  const letGo = async (): Promise<void> => {
    // What has come is read first.
    await turn()
    connections.cutIdle((socket) => answers.isAwaitedOn(socket))
  }
  app.addHook('preClose', async () => {
    isClosing = true
    const letGoOfOthers = async (): Promise<void> => {
      if (connections.areLeft()) await wait(clock, ON_ITS_WAY_MS, new AbortController().signal)
      await letGo()
    }
    // Streams are told to go elsewhere as soon as whoever asks for readiness is.
    await Promise.all([drain(), letGoOfOthers()])
    isOver = true
    await letGo()
    const enough = new AbortController()
    await Promise.race([answers.allGiven(), wait(clock, ANSWERING_MS, enough.signal)])
    enough.abort()
    const timer = clock.after(ANSWERING_MS, () => connections.cutAll())
    app.server.once('close', () => timer[Symbol.dispose]())
  })
}

interface Connections {
  /** Whether there are any but streams and HTTP/2's, which has its own way of saying that something comes too late. */
  areLeft(): boolean
  /** Ends those on which nothing is asked and that are no streams; over HTTP/2, once all that was asked is answered. */
  cutIdle(isAwaited: (socket: Socket) => boolean): void
  cutAll(): void
}

function followConnections({ server }: FastifyInstance): Connections {
  const raw = new Set<Socket>()
  const secure = new Set<TLSSocket>()
  const streams = new Set<Socket>()
  const sessions = new Set<ServerHttp2Session>()
  keep(raw, (note) => server.on('connection', note))
  keep(secure, (note) => server.on('secureConnection', note))
  keep(streams, (note) => server.on('upgrade', (_request, socket: Socket) => note(socket)))
  keep(sessions, (note) => server.on('session', note))
  const all: ReadonlySet<Socket> = server instanceof TlsServer ? secure : raw
  const ofHttp1 = () => all.values().filter((socket) => !streams.has(socket) && !isHttp2(socket))
  return {
    areLeft: () => ofHttp1().next().done !== true,
    cutIdle(isAwaited) {
      for (const session of sessions) session.close()
      for (const socket of ofHttp1()) if (!isAwaited(socket)) socket.destroy()
    },
    cutAll() {
      for (const socket of raw) socket.destroy()
    },
  }
}

type Answer = ServerResponse | Http2ServerResponse

interface Answers {
  /** Whether a client waits for one on this connection. */
  isAwaitedOn(socket: Socket): boolean
  /** Resolves once all have been given, but for those that go on until the client has seen enough. */
  allGiven(): Promise<void>
}

function followAnswers(app: FastifyInstance): Answers {
  const open = new Map<Answer, IncomingMessage | Http2ServerRequest>()
  let notice = (): void => {}
  app.addHook('onRequest', (request, reply, done) => {
    const { raw }: { raw: Answer } = reply
    raw.setMaxListeners(LISTENERS)
    // What is to become a stream is none.
    if (!request.ws) {
      open.set(raw, request.raw)
      raw.once('close', () => {
        open.delete(raw)
        notice()
      })
    }
    done()
  })
  return {
    isAwaitedOn: (socket) => open.values().some((request) => request.socket === socket),
    async allGiven() {
      while (open.keys().some(isOneToCome)) {
        const { promise, resolve } = Promise.withResolvers<void>()
        notice = resolve
        await promise
      }
    },
  }
}

/** An answer whose length is not known goes on and on, such as a watch. */
function isOneToCome(answer: Answer): boolean {
  return !answer.headersSent || answer.hasHeader('content-length')
}

function isHttp2(socket: Socket): boolean {
  return 'alpnProtocol' in socket && socket.alpnProtocol === 'h2'
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

function keep<S extends Socket | ServerHttp2Session>(
  all: Set<S>,
  listen: (note: (one: S) => void) => unknown,
): void {
  listen((one) => {
    all.add(one)
    one.once('close', () => all.delete(one))
  })
}
