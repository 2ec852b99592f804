/** Who may read the metrics of a worker: real TLS, real certificates. Source: contract metrics.md 9.5, security E1. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Agent, request } from 'undici'
import { roleUri } from '../../certs/roles.ts'
import type { KeyPair } from '../../certs/issue.ts'
import { WORKER_SERVER_NAME } from '../../src/kinds/installation.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { openMetrics } from '../../src/metrics/exposition.ts'
import { workerWish } from '../../src/roles/certificates/wishes.ts'
import { admitMonitors, openMetricsListener, type MetricsListener } from '../../src/roles/metrics-listener.ts'
import { memoryLog } from '../helpers/api.ts'
import { makeAuthority, type TestAuthority } from '../helpers/pki.ts'

const MONITOR = { usage: 'client', uris: [roleUri({ role: 'monitor' })] } as const

let authority: TestAuthority
let other: TestAuthority
let listener: MetricsListener

beforeAll(async () => {
  authority = await makeAuthority()
  other = await makeAuthority()
  const tls = { ...(await authority.issue(workerWish('n1'))), ca: authority.cert }
  const log = memoryLog()
  listener = await openMetricsListener('127.0.0.1:0', {
    metrics: openMetrics({ clock: systemClock, log }),
    tls: { current: () => tls, onChange() {} },
    admit: admitMonitors(() => tls.ca),
    log,
  })
})
afterAll(() => listener[Symbol.asyncDispose]())

/** As Prometheus asks: by the name that all workers have. */
async function codeFor(pair: Partial<KeyPair>, path = '/metrics'): Promise<number> {
  const connect = { ca: authority.cert, servername: WORKER_SERVER_NAME, ...pair }
  const dispatcher = new Agent({ connect })
  try {
    const { statusCode, body } = await request(listener.url + path, { dispatcher })
    await body.dump()
    return statusCode
  } finally {
    await dispatcher.destroy()
  }
}

test.each<[string, () => Promise<Partial<KeyPair>>, number]>([
  ['a monitor', () => authority.issue({ commonName: 'monitor', ...MONITOR }), 200],
  ['nobody', async () => ({}), 401],
  ['a monitor of another authority', () => other.issue({ commonName: 'monitor', ...MONITOR }), 401],
  [
    'a certificate for servers alone',
    () => authority.issue({ commonName: 'monitor', ...MONITOR, usage: 'server' }),
    401,
  ],
  [
    'a controller',
    () =>
      authority.issue({ commonName: 'controller', usage: 'client', uris: [roleUri({ role: 'controller' })] }),
    403,
  ],
  ['another worker', () => authority.issue(workerWish('n2')), 403],
  ['one that is called a monitor', () => authority.issue({ commonName: 'monitor', usage: 'client' }), 403],
])('%s', async (_who, pair, code) => {
  expect(await codeFor(await pair())).toBe(code)
  expect(await codeFor(await pair(), '/else')).toBe(code === 200 ? 404 : code)
})
