import { constants } from 'node:crypto'
import type { SecureContextOptions } from 'node:tls'
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { Socket } from 'node:net'
import { badRequest, StatusError } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import { KEEP_ALIVE_MS, keepUnused } from './idle-connections.ts'
import { JSON_TYPE, sendStatus, toRefusal } from './status.ts'

/** The serving pair, PEM, and the authorities whose names are told to clients. */
export interface Tls {
  cert: string
  key: string
  /**
   * Authorities that clients' certificates may come from: clients choose by it. Whether one does is for the
   * authenticators to say, request by request; a handshake never fails for it (contract 2.2).
   */
  ca?: string | string[]
}

const KIB = 1024

/** All of TLS 1.3, and of TLS 1.2 what is authenticated encryption with keys that are forgotten. Source: security E5. */
const CIPHERS = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
].join(':')

/** Names of Kubernetes objects are up to 253 characters, and each may be percent-encoded. */
const MAX_PARAM_LENGTH = 3 * 253

/** Limits of HTTP/2 sessions. Source: security H1. */
const HTTP2_SETTINGS = { maxConcurrentStreams: 250, maxHeaderListSize: 16 * KIB }

/**
 * Fastify's options: HTTP/2 with HTTP/1.1 on the same TLS port, or plain HTTP/1.1 where `tls` is absent. `keepAliveMs` is how
 * long a connection of HTTP/1.1 stays on which nothing is asked, where `closeIdleConnections` is called besides.
 */
export function serverOptions(tls: Tls | undefined, log: Log, keepAliveMs = KEEP_ALIVE_MS): object {
  const common = {
    logger: false,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    forceCloseConnections: true,
    // Who has sent a request to a server that closes is answered: kube-apiserver sends no review twice.
    return503OnClosing: false,
    // It limits closing, too, which lasts as long as streams drain: after 10 s all else would be torn down below them.
    pluginTimeout: 0,
    // Bodies are held against the schemas of their kinds: Fastify's own compilers, which no route uses, are not loaded.
    schemaController: { compilersFactory: { buildValidator: refuseSchema, buildSerializer: refuseSchema } },
    frameworkErrors: (error: Error, _request: unknown, reply: FastifyReply) => {
      sendStatus(reply, toRefusal(error, 0))
    },
    clientErrorHandler: (error: Error, socket: Socket) => refuseBroken({ error, socket, log, keepAliveMs }),
  }
  if (!tls) return { ...common, http: { maxHeaderSize: 16 * KIB } }
  return { ...common, http2: true, http2SessionTimeout: 0, https: secureOptions(tls, keepAliveMs) }
}

function refuseSchema(): never {
  throw new Error('a route has a schema: bodies are checked by kind, and answers are written as they are')
}

function secureOptions(tls: Tls, keepAliveMs: number) {
  return {
    ...contextOptions(tls),
    allowHTTP1: true,
    requestCert: true,
    rejectUnauthorized: false,
    settings: HTTP2_SETTINGS,
    // For HTTP/1.1, on whose server Fastify's own options have no hold. Source: security H2.
    maxHeaderSize: 16 * KIB,
    headersTimeout: 10_000,
    requestTimeout: 60_000,
    keepAliveTimeout: keepAliveMs,
    connectionsCheckingInterval: 5_000,
    maxSessionInvalidFrames: 100,
    streamResetBurst: 200,
    streamResetRate: 33,
  }
}

function contextOptions({ cert, key, ca }: Tls): SecureContextOptions {
  const { SSL_OP_NO_RENEGOTIATION: secureOptions } = constants
  const floor = { minVersion: 'TLSv1.2', ciphers: CIPHERS, secureOptions } as const
  return { cert, key, ...floor, ...(ca !== undefined && { ca }) }
}

/** Serves a new pair from the next handshake on; open connections live on. */
export function reloadTls({ server }: FastifyInstance, tls: Tls): void {
  if (!('setSecureContext' in server) || typeof server.setSecureContext !== 'function') {
    throw new Error('this server has no TLS whose certificates could be replaced')
  }
  server.setSecureContext(contextOptions(tls))
}

/** A connection that something is wrong with, before there is a request. */
interface Broken {
  error: Error
  socket: Socket
  log: Log
  keepAliveMs: number
}

/** What is no HTTP, or does not come in time, gets a Status and is cut off. */
function refuseBroken({ error, socket, log, keepAliveMs }: Broken): void {
  const isLate = 'code' in error && error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
  if (isLate && keepUnused(socket, keepAliveMs)) return
  log.debug({ err: error }, 'a client does not speak HTTP')
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const [line, refusal] = isLate
    ? ['408 Request Timeout', new StatusError(408, 'Timeout', 'the request did not come in time')]
    : ['400 Bad Request', badRequest('this is no HTTP request')]
  const body = JSON.stringify(refusal.toStatus())
  const head = [`HTTP/1.1 ${line}`, 'Connection: close', `Content-Type: ${JSON_TYPE}`]
  socket.end(`${[...head, `Content-Length: ${Buffer.byteLength(body)}`].join('\r\n')}\r\n\r\n${body}`)
}
