import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { notAcceptable } from '../../lib/errors.ts'
import { encodingOf, parseAccept } from './negotiate.ts'

/** A body that changes only with the program, and what tells one from another. */
export interface Document {
  body: Buffer
  contentType: string
  /** Hexadecimal. */
  hash: string
}

/** A JSON document that is sent again and again. */
export function buildDocument(value: unknown, contentType?: string): Document {
  return buildDocumentOf(Buffer.from(JSON.stringify(value)), contentType)
}

/** A document of any sort. */
export function buildDocumentOf(body: Buffer, contentType = 'application/json'): Document {
  return { body, contentType, hash: createHash('sha256').update(body).digest('hex') }
}

/** Answers with a JSON document, or 304 where the client has it already. Throws 406 for clients that take no JSON. */
export function sendDocument(request: FastifyRequest, reply: FastifyReply, document: Document): FastifyReply {
  if (!parseAccept(request.headers.accept).some(({ type }) => encodingOf(type) === 'json')) {
    throw notAcceptable('only the following media types are accepted: application/json')
  }
  return answerDocument(request, reply, document)
}

/** Answers with a document that the client is known to take, or 304 where it has it already. */
export function answerDocument(
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
