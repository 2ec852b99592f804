import { formatExact, parseExact } from '../lib/exact-json.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import { StatusError, type Status } from '../lib/errors.ts'
import { Agent, request } from '../lib/http-client.ts'
import type { ClusterConfig } from './config.ts'

/** One call. */
export interface KubeRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Absolute path, such as `/api/v1/nodes`. */
  path: string
  query?: Record<string, string | number | boolean | undefined>
  /** Sent as JSON. */
  body?: unknown
  /** `application/json` unless stated. Patches name theirs. */
  contentType?: string
  signal?: AbortSignal | undefined
}

/** A client for any Kubernetes API. Every answer that is no success is thrown as a `StatusError`. */
export interface KubeClient extends AsyncDisposable {
  readonly config: ClusterConfig
  /** The parsed JSON answer; `undefined` where the answer has no body. */
  call<T>(request: KubeRequest): Promise<T>
  /** The lines of a streamed answer, such as a watch. Ends when the server ends it; a half line is dropped. */
  lines(request: KubeRequest): AsyncIterable<string>
}

/** The API cannot be reached at all. */
export class ApiUnreachable extends Error {
  constructor(server: string, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause)
    super(`cannot reach the Kubernetes API at ${server}: ${why}. Is the server running?`, { cause })
    this.name = 'ApiUnreachable'
  }
}

const TRIES_ON_429 = 5

/** How long the API may take. */
export interface Patience {
  /** Until it answers, and between two pieces of an answer. kube-apiserver itself gives up after a minute. */
  answerMs: number
  /** Between two lines of a streamed answer: the API sends a bookmark every minute. */
  silenceMs: number
}

/** One call that was answered, or was not. */
export interface WatchedCall {
  /** Host and port of the server. */
  host: string
  method: string
  path: string
  isWatch: boolean
  /** Of the answer; `undefined` where there is none. */
  code: number | undefined
  tookMs: number
}

/** Told of each call, once it is answered or lost. */
export interface CallWatcher {
  called(call: WatchedCall): void
}

const PATIENCE: Patience = { answerMs: 75_000, silenceMs: 180_000 }

/**
 * Opens a client: one connection pool for all calls. Closing it ends them. HTTP/1.1 alone: over HTTP/2, undici 8 leaves
 * calls and streams open for ever that were aborted while their session died, and its timeouts do not end them.
 */
export function openKubeClient(
  config: ClusterConfig,
  patience = PATIENCE,
  watcher?: CallWatcher,
): KubeClient {
  const { host } = new URL(config.server)
  const agent = new Agent({ connect: { ...config.tls }, allowH2: false })

  async function send(wanted: KubeRequest, bodyTimeout: number) {
    const token = await config.token()
    const url = new URL(config.server + wanted.path)
    for (const [name, value] of Object.entries(wanted.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value))
    }
    const hasBody = wanted.body !== undefined
    return request(url, {
      dispatcher: agent,
      headersTimeout: patience.answerMs,
      bodyTimeout,
      method: wanted.method,
      headers: {
        accept: 'application/json',
        'user-agent': 'virtgate',
        ...(token && { authorization: `Bearer ${token}` }),
        ...(hasBody && { 'content-type': wanted.contentType ?? 'application/json' }),
      },
      ...(hasBody && { body: formatExact(wanted.body) }),
      ...(wanted.signal && { signal: wanted.signal }),
    }).catch((error: unknown) => lost(wanted, error))
  }

  /** The same, and tells of it. */
  async function sendWatched(wanted: KubeRequest, bodyTimeout: number) {
    const { method, path, query } = wanted
    const startMs = performance.now()
    let code: number | undefined
    try {
      const response = await send(wanted, bodyTimeout)
      code = response.statusCode
      return response
    } finally {
      const isWatch = query?.watch !== undefined
      watcher?.called({ host, method, path, isWatch, code, tookMs: performance.now() - startMs })
    }
  }

  function lost({ signal }: KubeRequest, error: unknown): never {
    signal?.throwIfAborted()
    throw new ApiUnreachable(config.server, error)
  }

  /** Answers 2xx, or throws. A 429 is tried again after the time the server names. */
  async function succeed(wanted: KubeRequest, bodyTimeout = patience.answerMs) {
    for (let attempt = 1; ; attempt += 1) {
      const response = await sendWatched(wanted, bodyTimeout)
      if (response.statusCode < 300) return response
      const text = await response.body.text()
      if (response.statusCode !== 429 || attempt === TRIES_ON_429) throw refusal(response.statusCode, text)
      await waitSeconds(Number(response.headers['retry-after'] ?? 1) || 1, wanted.signal)
    }
  }

  return {
    config,
    async call<T>(wanted: KubeRequest): Promise<T> {
      const { body } = await succeed(wanted)
      const text = await body.text().catch((error: unknown) => lost(wanted, error))
      // The caller names the type of what the API is known to answer at that path.
      return (text === '' ? undefined : parseExact(text)) as T
    },
    async *lines(wanted) {
      const { body } = await succeed(wanted, patience.silenceMs)
      const decoder = new TextDecoder()
      let rest = ''
      for await (const chunk of body) {
        const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n')
        rest = parts.pop() ?? ''
        for (const line of parts) if (line !== '') yield line
      }
    },
    async [Symbol.asyncDispose]() {
      await agent.destroy()
    },
  }
}

/** What a non-2xx answer says, as an error. */
export function refusal(code: number, text: string): StatusError {
  const body = parseStatus(text)
  if (body) return StatusError.fromStatus(body, code)
  return new StatusError(code, 'Unknown', text.trim().slice(0, 1024) || `the server answered ${code}`)
}

function parseStatus(text: string): Partial<Status> | undefined {
  try {
    const body: unknown = JSON.parse(text)
    if (typeof body !== 'object' || body === null || !('kind' in body) || body.kind !== 'Status')
      return undefined
    // The kind says what the other fields are; each is checked for absence where it is used.
    return body as Partial<Status>
  } catch {
    // Proxies and old servers answer in plain text.
    return undefined
  }
}

async function waitSeconds(seconds: number, signal: AbortSignal | undefined): Promise<void> {
  await sleep(Math.min(seconds, 30) * 1000, undefined, signal && { signal })
}
