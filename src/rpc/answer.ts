import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { requestEntityTooLarge, type StatusError } from '../lib/errors.ts'
import { BODY_LIMIT_BYTES, RPC_VERSIONS, VERSION_HEADER } from './wire.ts'

/** On every answer. */
export const HEADERS = { [VERSION_HEADER]: RPC_VERSIONS[0], 'x-content-type-options': 'nosniff' }

/** The whole body. Throws 413. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request) {
    // A request without an encoding gives bytes.
    const bytes = chunk as Buffer
    length += bytes.length
    if (length > BODY_LIMIT_BYTES) throw requestEntityTooLarge(BODY_LIMIT_BYTES)
    chunks.push(bytes)
  }
  return Buffer.concat(chunks)
}

/** Answers with a value. */
export function sendJson(response: ServerResponse, code: number, value: unknown): void {
  const body = JSON.stringify(value)
  response.writeHead(code, {
    ...HEADERS,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  })
  response.end(body)
}

/** Answers with a refusal. */
export function sendStatus(response: ServerResponse, refusal: StatusError): void {
  // A body that was refused half-read leaves the connection in the middle of it.
  if (refusal.code === 413) response.setHeader('connection', 'close')
  sendJson(response, refusal.code, refusal.toStatus())
}

/** Answers an upgrade with a refusal and closes the connection. */
export function refuseUpgrade(socket: Duplex, refusal: StatusError): void {
  const body = JSON.stringify(refusal.toStatus())
  const head = [
    `HTTP/1.1 ${refusal.code} ${refusal.reason}`,
    'Connection: close',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}
