import type { FastifyRequest } from 'fastify'
import { requestEntityTooLarge } from '../lib/errors.ts'

/** The body of a GET, which Fastify leaves unread. Throws 413 where it is longer than the route allows. */
export async function readBody({ raw, routeOptions: { bodyLimit } }: FastifyRequest): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of raw) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk))
    length += bytes.length
    if (length > bodyLimit) throw requestEntityTooLarge(bodyLimit)
    chunks.push(bytes)
  }
  return Buffer.concat(chunks)
}
