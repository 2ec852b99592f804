import { request as httpsRequest, type RequestOptions } from 'node:https'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { ClusterConfig } from '../../src/kube/config.ts'

/** An answer as it came. */
export interface RawAnswer {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
}

/** Gets a path and everything that comes, whatever its type. */
export async function request(config: ClusterConfig, path: string): Promise<RawAnswer> {
  const token = await config.token()
  const options: RequestOptions = {
    ...config.tls,
    headers: { ...(token && { authorization: `Bearer ${token}` }) },
  }
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  httpsRequest(config.server + path, options, resolve)
    .on('error', reject)
    .end()
  const response = await promise
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }
}
