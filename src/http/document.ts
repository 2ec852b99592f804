import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { notAcceptable } from '../lib/errors.ts'
import { JSON_TYPE } from './status.ts'

/** A JSON document that does not change while the server runs. */
export interface Document {
  body: Buffer
  /** Quoted, as the header has it. */
  etag: string
  contentType: string
}

/** A document with the tag that its content gives it. */
export function buildDocument(content: unknown, contentType: string = JSON_TYPE): Document {
  // Bytes: to a text, Fastify would add a charset and quotes, which some clients do not expect.
  const body = Buffer.from(JSON.stringify(content))
  return { body, etag: `"${createHash('sha256').update(body).digest('hex').toUpperCase()}"`, contentType }
}

/** Answers with a document, or with 304 where the client has it. Throws 406 for clients that take no JSON. */
export function sendDocument(request: FastifyRequest, reply: FastifyReply, document: Document): FastifyReply {
  requireAccepted(request, JSON_TYPE)
  reply.headers({ etag: document.etag, vary: 'Accept' })
  if (hasTag(request.headers['if-none-match'], document.etag)) return reply.code(304).send()
  return reply.type(document.contentType).send(document.body)
}

/** The media types a client takes, in its order, each with its parameters, names in lower case. */
export function acceptedTypes({
  headers,
}: FastifyRequest): { type: string; parameters: Map<string, string> }[] {
  return (headers.accept ?? '*/*').split(',').map((part) => {
    const [type = '', ...parameters] = part.split(';').map((text) => text.trim())
    const pairs = parameters.map((text): [string, string] => {
      const [name = '', value = ''] = text.split('=', 2)
      return [name.trim().toLowerCase(), value.trim()]
    })
    return { type: type.toLowerCase(), parameters: new Map(pairs) }
  })
}

/** Throws 406 where the client takes no such media type. */
export function requireAccepted(request: FastifyRequest, mediaType: string): void {
  const wanted = ['*/*', '', mediaType, mediaType.replace(/\/.*/, '/*')]
  if (acceptedTypes(request).some(({ type }) => wanted.includes(type))) return
  throw notAcceptable(`only ${mediaType} can be produced here`)
}

function hasTag(header: string | undefined, etag: string): boolean {
  return header?.split(',').some((tag) => tag.trim() === etag || tag.trim() === '*') ?? false
}
