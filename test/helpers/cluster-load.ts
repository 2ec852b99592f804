import type { Duplex } from 'node:stream'
import type { KubeClient } from '../../src/kube/client.ts'
import { dialStream } from '../../src/kube/stream.ts'
import { eventually } from './server.ts'
import { helloVm, paths } from './vms.ts'

/** Requests and consoles that go on until they are stopped. */
export interface ClusterLoad {
  /** Requests that were answered so far. */
  answered(): number
  /** Those that failed, and consoles that closed, each with the time and the reason. */
  failures(): string[]
  /** Types into the first console and waits until all of them have shown it. */
  speak(text: string): Promise<void>
  /** Stops, and waits for what is under way. */
  stop(): Promise<void>
}

/** The most that may be under way; above it a request is a failed one. */
const MOST_WAITING = 500

/**
 * Asks subresources of a running VM and creates others as dry runs, which the webhooks judge, `perSecond` of it; some are
 * carried out by the worker. Opens `consoles` consoles, all but the first of them as viewers.
 */
export async function startLoad(
  client: KubeClient,
  name: string,
  { perSecond, consoles }: { perSecond: number; consoles: number },
): Promise<ClusterLoad> {
  const failures: string[] = []
  const streams: { duplex: Duplex; text: string }[] = []
  const waiting = new Set<Promise<void>>()
  let answered = 0
  let sent = 0
  let isOver = false
  const fail = (what: string, why: unknown) => {
    failures.push(`${new Date().toISOString()} ${what}: ${why instanceof Error ? why.message : String(why)}`)
  }
  for (let index = 0; index < consoles; index++) {
    const path = `${paths(name).onVmi('console')}?mode=${index === 0 ? 'write' : 'view'}`
    const { duplex } = await dialStream(client.config, path)
    const stream = { duplex, text: '' }
    duplex.on(
      'data',
      (chunk: Buffer) => (stream.text = (stream.text + chunk.toString('latin1')).slice(-4096)),
    )
    duplex.on('error', (error) => fail(`console ${index}`, error))
    duplex.once('close', () => {
      if (!isOver) fail(`console ${index}`, 'closed')
    })
    streams.push(stream)
  }
  const send = (): void => {
    const [what, run] = requestOf(client, name, sent++)
    if (waiting.size >= MOST_WAITING) return fail(what, 'too many are under way')
    const one: Promise<void> = run()
      .then(
        () => void (answered += 1),
        (error: unknown) => fail(what, error),
      )
      .finally(() => waiting.delete(one))
    waiting.add(one)
  }
  const timer = setInterval(send, 1000 / perSecond)
  return {
    answered: () => answered,
    failures: () => [...failures],
    async speak(text) {
      // What is typed is echoed as it was typed, so the answer differs from it.
      streams[0]?.duplex.write(`echo said-$((1+1))-${text}\n`)
      await eventually(`all consoles show ${text}`, 60_000, async () =>
        streams.every((stream) => stream.text.includes(`said-2-${text}`)),
      )
    },
    async stop() {
      clearInterval(timer)
      await Promise.all(waiting)
      isOver = true
      for (const { duplex } of streams) duplex.destroy()
    },
  }
}

/** In turns: a dry run for the webhooks, what the API server answers, and, now and then, a stream from the worker. */
function requestOf(
  client: KubeClient,
  name: string,
  turn: number,
): [what: string, run: () => Promise<unknown>] {
  const { vms, onVm, onVmi } = paths(name)
  // Each is a new connection to the worker.
  if (turn % 25 === 0) return ['viewer', () => look(client, `${onVmi('console')}?mode=view`)]
  if (turn % 2 === 0) return ['expand-spec', () => client.call({ method: 'GET', path: onVm('expand-spec') })]
  const body = helloVm(`dry-${turn}`)
  return ['dry run', () => client.call({ method: 'POST', path: vms, query: { dryRun: 'All' }, body })]
}

async function look(client: KubeClient, path: string): Promise<void> {
  const { duplex } = await dialStream(client.config, path)
  duplex.on('error', () => {})
  duplex.destroy()
}
