import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** A body that changes only with the program, and what tells one from another. */
export interface Document {
  body: Buffer
  contentType: string
  /** Hexadecimal. */
  hash: string
}

/** A JSON document that is sent again and again. */
export function buildDocument(value: unknown, contentType = 'application/json'): Document {
  const body = Buffer.from(JSON.stringify(value))
  return { body, contentType, hash: createHash('sha256').update(body).digest('hex') }
}

/** Answers with a document, or 304 where the client has it already. */
export function sendDocument(
  request: FastifyRequest,
  reply: FastifyReply,
  { body, contentType, hash }: Document,
): FastifyReply {
  const etag = `"${hash}"`
  reply.header('etag', etag).header('vary', 'Accept')
  if (isKnown(request.headers['if-none-match'], etag)) return reply.code(304).send()
  return reply.type(contentType).send(body)
}

function isKnown(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  return header.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === etag)
}
