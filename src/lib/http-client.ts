/**
 * HTTP clients, which is all that is used of undici. Its index loads `fetch`, WebSocket, caches and mocks besides: 4 MiB in
 * each process of ours, for nothing.
 */
import { createRequire } from 'node:module'
import type * as Undici from 'undici'

const load = createRequire(import.meta.url)
const send: typeof Undici.request = load('undici/lib/api/api-request')

/** Connections to any number of servers, with the same options. */
export const Agent: typeof Undici.Agent = load('undici/lib/dispatcher/agent')
export type Agent = Undici.Agent
export type { Dispatcher } from 'undici'

/** What a request is made with. */
export interface RequestOptions extends Omit<Undici.Dispatcher.RequestOptions, 'origin' | 'path' | 'method'> {
  dispatcher: Undici.Dispatcher
  /** `GET` where it is absent. */
  method?: Undici.Dispatcher.HttpMethod
}

/** Sends one request; answers when the headers of the response are there. Throws what the connection throws. */
export function request(
  url: string | URL,
  { dispatcher, method = 'GET', ...options }: RequestOptions,
): Promise<Undici.Dispatcher.ResponseData> {
  const { origin, pathname, search } = new URL(url)
  const asked = { ...options, method, origin, path: pathname + search }
  return send.call(dispatcher, asked) as Promise<Undici.Dispatcher.ResponseData>
}
