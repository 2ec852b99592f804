import { expect, test } from 'vitest'
import { openSessionSource } from '../../src/metrics/sessions.ts'

const SIGNAL = new AbortController().signal
const VM1 = { namespace: 'ns1', name: 'vm1' }
const LABELS = { namespace: 'ns1', vmi: 'vm1' }
const CONSOLES = 'kubevirt_console_active_connections'

function serve(exists: () => Promise<boolean> = async () => true) {
  return openSessionSource({ exists, clock: { now: () => 5000 } })
}

test.each([
  ['console', CONSOLES],
  ['vnc', 'kubevirt_vnc_active_connections'],
  ['portforward', 'kubevirt_portforward_active_tunnels'],
  ['usbredir', 'kubevirt_usbredir_active_connections'],
])('%s is counted as %s, and the moment at which it ended is kept', async (kind, name) => {
  const sessions = serve()
  const first = sessions.open(kind, VM1)
  sessions.open(kind, VM1)
  expect(await sessions.collect(SIGNAL)).toEqual([{ name, labels: LABELS, value: 2 }])
  first[Symbol.dispose]()
  first[Symbol.dispose]()
  expect(await sessions.collect(SIGNAL)).toEqual([
    { name, labels: LABELS, value: 1 },
    { name: 'kubevirt_vmi_last_api_connection_timestamp_seconds', labels: LABELS, value: 5 },
  ])
})

test('what has no series is not counted', async () => {
  const sessions = serve()
  sessions.open('vsock', VM1)[Symbol.dispose]()
  expect(await sessions.collect(SIGNAL)).toEqual([])
})

test('the series of 200 VMIs that are gone are gone at the next scrape', async () => {
  const gone = new Set<string>()
  const sessions = openSessionSource({
    exists: async ({ name }) => !gone.has(name),
    clock: { now: () => 0 },
  })
  for (let i = 0; i < 200; i += 1) {
    sessions.open('vnc', { namespace: 'ns1', name: `vm${i}` })[Symbol.dispose]()
  }
  expect(await sessions.collect(SIGNAL)).toHaveLength(400)
  for (let i = 0; i < 200; i += 1) gone.add(`vm${i}`)
  expect(await sessions.collect(SIGNAL)).toHaveLength(0)
})

test('a VMI that somebody is connected to, or that cannot be looked for, keeps its series', async () => {
  const connected = serve(async () => false)
  connected.open('vnc', VM1)
  expect(await connected.collect(SIGNAL)).toHaveLength(1)
  const unknown = serve(() => Promise.reject(new Error('the API cannot be reached')))
  unknown.open('vnc', VM1)[Symbol.dispose]()
  expect(await unknown.collect(SIGNAL)).toHaveLength(2)
})
