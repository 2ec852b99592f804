import { once } from 'node:events'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect } from 'node:tls'
import { type HttpGet, urlOf } from './handler.ts'

/** Connects to a TCP port of the guest. Throws `StatusError`, and the reason of `signal`. */
export type Dial = (port: number, signal: AbortSignal) => Promise<Duplex>

// An import would load all that Node has there, `fetch` and WebSocket included: 4 MiB.
const { request } = process.getBuiltinModule('node:http')
/** An answer says no more than this with its headers; its body is not read. */
const HEADER_LIMIT_BYTES = 16 * 1024
const REDIRECTS_LIMIT = 10
const REDIRECTS = [301, 302, 303, 307, 308]
/** What a server may tell probes from people by; other headers come from the probe. */
const DEFAULT_HEADERS = { 'User-Agent': 'kube-probe/virtgate', Accept: '*/*' }

/**
 * Asks a guest for a page; answers why it has not passed, `undefined` where it has. It passes with 200 to 399.
 * Redirects are followed to the same host, ten times; one to another host passes as it is. Certificates are not looked
 * at. Throws what `dial` and the connection throw, and the reason of `signal`.
 *
 * Source: `pkg/probe/http` of the kubelet.
 */
export async function askForPage(
  handler: HttpGet,
  dial: Dial,
  signal: AbortSignal,
): Promise<string | undefined> {
  const headers = headersOf(handler)
  let url = new URL(urlOf(handler))
  for (let followed = 0; ; followed += 1) {
    const { status, location } = await ask(url, headers, dial, signal)
    if (location === undefined || !REDIRECTS.includes(status)) return judge(status)
    const next = URL.parse(location, url.href)
    if (!next) return 'it was sent to something that is no URL'
    if (next.hostname !== url.hostname || !/^https?:$/.test(next.protocol)) return judge(status)
    if (followed + 1 >= REDIRECTS_LIMIT) return `it was sent elsewhere ${REDIRECTS_LIMIT} times`
    // A host of the probe's own is for the place it names.
    if (next.host !== url.host && URL.canParse(location)) delete headers['host']
    url = next
  }
}

function judge(status: number): string | undefined {
  return status >= 200 && status < 400 ? undefined : `it was answered with ${status}`
}

/** All values by name in lower case. */
function headersOf({ headers }: HttpGet): Record<string, string[]> {
  const all: Record<string, string[]> = Object.create(null)
  for (const { name, value } of headers) (all[name.toLowerCase()] ??= []).push(value)
  for (const [name, value] of Object.entries(DEFAULT_HEADERS)) all[name.toLowerCase()] ??= [value]
  return all
}

async function ask(
  url: URL,
  headers: Record<string, string[]>,
  dial: Dial,
  signal: AbortSignal,
): Promise<{ status: number; location: string | undefined }> {
  const isTls = url.protocol === 'https:'
  const stream = await dial(Number(url.port) || (isTls ? 443 : 80), signal)
  const socket = isTls ? speakTls(stream, url.hostname) : stream
  let asking: ClientRequest | undefined
  try {
    asking = request({
      createConnection: () => socket,
      method: 'GET',
      host: url.hostname,
      path: `${url.pathname}${url.search}`,
      headers: { host: url.host, ...headers, connection: 'close' },
      maxHeaderSize: HEADER_LIMIT_BYTES,
    })
    asking.on('error', () => {}).end()
    const [response] = (await once(asking, 'response', { signal })) as [IncomingMessage]
    return { status: response.statusCode ?? 0, location: response.headers.location }
  } finally {
    asking?.destroy()
    socket.destroy()
    stream.destroy()
  }
}

/** The kubelet does not ask for a certificate that it could check, either. */
function speakTls(stream: Duplex, host: string): Duplex {
  const servername = isIP(host) || host.startsWith('[') ? {} : { servername: host }
  return connect({ socket: stream, rejectUnauthorized: false, ...servername }).on('error', () => {})
}
