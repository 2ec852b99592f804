/**
 * Security checklist, section B: authorization. A whole `virtgate apiserver` over real TLS, whose rights a real Kubernetes
 * API decides about; streams on a server of their own where time has to pass. What is made of the list of routes (B1 and
 * B3, for each) is in `test/http/routes.table.test.ts`, the answers of reviews (B4) are in `test/auth/remote.test.ts`, and
 * what the default roles grant (B6) is in `test/auth/bootstrap.test.ts`.
 */
import { once } from 'node:events'
import { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { resolveReferences } from '../../src/controllers/vmi/references.ts'
import { GROUP } from '../../src/http/group.ts'
import { refusedKind } from '../../src/kinds/kind.ts'
import type { PolicyRule } from '../../src/kinds/core.ts'
import { CONFIGMAPS, SECRETS, VMIS } from '../../src/kinds/table.ts'
import { notFound } from '../../src/lib/errors.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { subresources } from '../../src/subresources/index.ts'
import { ALICE, apiOf, BASE, vmiOf, type TestApi } from '../helpers/api.ts'
import { openFrontDoor, type FrontDoor } from '../helpers/front-door.ts'
import { memoryStore } from '../helpers/memory-store.ts'
import { makeAuthority, servingPair } from '../helpers/pki.ts'
import { eventually } from '../helpers/server.ts'

const RBAC = 'rbac.authorization.k8s.io'
const RBAC_PATH = `/apis/${RBAC}/v1`
const NS = `/apis/${GROUP}/v1/namespaces/default`
const START = `${NS}/virtualmachines/absent/start`
const ADMINS = 'X-Remote-Group: system:masters'

let door: FrontDoor

beforeAll(async () => {
  door = await openFrontDoor()
})
afterAll(() => door[Symbol.asyncDispose]())

/** What a user is answered who is forwarded by kube-apiserver. */
async function ask(method: string, path: string, user: string, ...lines: string[]) {
  const client = await door.connect(door.proxy)
  const answer = await client.ask(method, path, [`X-Remote-User: ${user}`, ...lines])
  client.socket.destroy()
  return answer
}

/** Gives a user these rights in the namespace `default`, and no others. */
async function grant(user: string, rules: PolicyRule[]): Promise<void> {
  const { client } = door.objects
  const path = `${RBAC_PATH}/namespaces/default`
  const common = { apiVersion: `${RBAC}/v1`, metadata: { name: user } }
  await client.call({ method: 'POST', path: `${path}/roles`, body: { ...common, kind: 'Role', rules } })
  const subjects = [{ kind: 'User', apiGroup: RBAC, name: user }]
  const roleRef = { apiGroup: RBAC, kind: 'Role', name: user }
  const body = { ...common, kind: 'RoleBinding', roleRef, subjects }
  await client.call({ method: 'POST', path: `${path}/rolebindings`, body })
}

/** Subresources of several segments: what CVE-2026-6383 was about. */
const deep = subresources.flatMap(({ resource, name, method, verb }) =>
  resource && name.includes('/') ? [{ plural: resource.plural, name, method, verb }] : [],
)

describe('B1: a deep subresource is reviewed as itself, never as its parent', () => {
  test('there are some', () => {
    expect(deep.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['vnc/screenshot', 'evacuate/cancel', 'sev/fetchcertchain']),
    )
  })

  test.each(deep)('$plural/$name', async ({ plural, name, method, verb }) => {
    const id = `${plural}-${name.replace('/', '-')}`
    const [first = ''] = name.split('/')
    const verbs = ['get', 'list', 'create', 'update', 'patch', 'delete']
    await grant(`near-${id}`, [
      { apiGroups: [GROUP], resources: [plural, `${plural}/${first}`], verbs },
      {
        apiGroups: [GROUP],
        resources: [`${plural}/${name}`],
        verbs: verbs.filter((other) => other !== verb),
      },
    ])
    await grant(`exact-${id}`, [{ apiGroups: [GROUP], resources: [`${plural}/${name}`], verbs: [verb] }])
    const path = `${NS}/${plural}/absent/${name}`
    const refused = await ask(method, path, `near-${id}`)
    expect(JSON.parse(refused.body)).toMatchObject({ kind: 'Status', code: 403, reason: 'Forbidden' })
    expect([401, 403]).not.toContain((await ask(method, path, `exact-${id}`)).code)
    // Nothing is granted anywhere else.
    expect((await ask(method, path.replace('/default/', '/kube-system/'), `exact-${id}`)).code).toBe(403)
  })
})

test.each(['GET', 'HEAD', 'POST', 'PATCH', 'DELETE', 'OPTIONS'])(
  'B3: %s where a PUT is expected is 405, also for whom a review would refuse',
  async (method) => {
    const socket = await door.socket(door.proxy)
    const answer = text(socket)
    const lines = [`${method} ${START} HTTP/1.1`, 'Host: x', 'Connection: close', 'X-Remote-User: nobody']
    socket.write(`${lines.join('\r\n')}\r\n\r\n`)
    expect(await answer).toMatch(/^HTTP\/1\.1 405 /)
  },
)

describe('B4: not knowing never means yes', () => {
  test('a yes for one identity is none for another that has the same name', async () => {
    expect((await ask('PUT', START, 'twin', ADMINS)).code).toBe(404)
    expect((await ask('PUT', START, 'twin')).code).toBe(403)
    expect((await ask('PUT', START, 'twin', 'X-Remote-Group: others')).code).toBe(403)
    expect((await ask('PUT', START, 'twin', ADMINS)).code).toBe(404)
  })

  test('where reviews are refused, everybody is, with 503', async () => {
    const { client } = door.objects
    const path = `${RBAC_PATH}/clusterrolebindings`
    const name = 'kubevirt-apiserver-auth-delegator'
    const before: { metadata: object } = await client.call({ method: 'GET', path: `${path}/${name}` })
    await client.call({ method: 'DELETE', path: `${path}/${name}` })
    try {
      const { code, body } = await ask('PUT', START, 'somebody-new', ADMINS)
      expect([code, JSON.parse(body).message]).toEqual([
        503,
        expect.stringContaining('access cannot be decided'),
      ])
    } finally {
      const body = { ...before, metadata: { name } }
      await client.call({ method: 'POST', path, body })
    }
    await eventually('reviews work again', 10_000, async () => {
      return (await ask('PUT', START, 'somebody-new', ADMINS)).code === 404
    })
  })
})

/** Real TLS, and a guest behind it. */
const open: TestApi[] = []
const sockets: WebSocket[] = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.terminate()
  await Promise.all(open.splice(0).map(({ app }) => app.close()))
})

async function serve(...[given, options]: Parameters<typeof apiOf>) {
  const authority = await makeAuthority()
  const api = apiOf(given, { tls: await servingPair(authority), ...options })
  open.push(api)
  const root = await api.app.listen({ port: 0, host: '127.0.0.1' })
  const url = `${root.replace('https', 'wss')}${BASE}/virtualmachineinstances/vm1/console`
  const dial = () => {
    const socket = new WebSocket(url, ['plain.kubevirt.io'], { ca: authority.cert, headers: ALICE })
    socket.on('error', () => {})
    sockets.push(socket)
    return socket
  }
  return { ...api, dial }
}

class SilentGuest extends Duplex {
  override _read(): void {}
  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done()
  }
}

/** A clock that goes on when it is told to. */
function steppingClock(): Clock & { pass(ms: number): void; delays(): number[] } {
  const timers = new Set<{ at: number; run: () => void }>()
  let now = 0
  return {
    now: () => now,
    after(delayMs, run) {
      const timer = { at: now + delayMs, run }
      timers.add(timer)
      return { [Symbol.dispose]: () => void timers.delete(timer) }
    },
    delays: () => [...timers].map(({ at }) => at - now),
    pass(ms) {
      now += ms
      for (const timer of [...timers].filter(({ at }) => at <= now)) {
        timers.delete(timer)
        timer.run()
      }
    },
  }
}

test('B5: who loses a right loses the stream within five minutes, and is told why', async () => {
  const guest = new SilentGuest()
  const clock = steppingClock()
  let isAllowed = true
  let reviews = 0
  const review = async () => {
    reviews += 1
    return { allowed: isAllowed, reason: '' }
  }
  const { dial } = await serve(
    { vmi: vmiOf(), node: { console: async () => guest } },
    { clock, authorizer: { review } },
  )
  const socket = dial()
  await once(socket, 'open')
  const fiveMinutes = async () => {
    const before = reviews
    await expect.poll(() => clock.delays()).toContain(5 * 60_000)
    clock.pass(5 * 60_000)
    await expect.poll(() => reviews).toBe(before + 1)
  }
  await fiveMinutes()
  expect(socket.readyState).toBe(WebSocket.OPEN)
  isAllowed = false
  const closed = once(socket, 'close')
  await fiveMinutes()
  const [code, reason] = await closed
  expect([code, String(reason)]).toEqual([1008, expect.stringMatching(/\w/)])
  expect(guest.destroyed).toBe(true)
})

describe('B7: a reference leads nowhere but into the namespace it is made in', () => {
  const held = (namespace: string) => ({ metadata: { namespace, name: 'theirs' }, data: { key: 'c2VjcmV0' } })
  const kinds = { secret: { secretName: 'theirs' }, configMap: { name: 'theirs' } }

  test.each(Object.entries(kinds))('a volume of a %s', async (member, volume) => {
    const { store } = memoryStore(
      [SECRETS, { apiVersion: 'v1', kind: 'Secret', ...held('ns2') } as never],
      [CONFIGMAPS, { apiVersion: 'v1', kind: 'ConfigMap', ...held('ns2') } as never],
    )
    const spec = { domain: { devices: {} }, volumes: [{ name: 'v', [member]: volume }] }
    const own = await resolveReferences(store, 'ns2', spec)
    expect({ ...own.secrets, ...own.configMaps }).toHaveProperty('theirs.key')
    const other = await resolveReferences(store, 'ns1', spec)
    expect(other).toMatchObject({ secrets: {}, configMaps: {}, missing: [{ name: 'theirs' }] })
    for (const name of ['ns2/theirs', '../ns2/theirs']) {
      const sly = { ...spec, volumes: [{ name: 'v', [member]: { ...volume, name, secretName: name } }] }
      expect(await resolveReferences(store, 'ns1', sly)).toMatchObject({ secrets: {}, configMaps: {} })
    }
  })
})

test('B8: a VM that is made anew under the same name while its console is dialled is not reached', async () => {
  const running = new Map([['old', new SilentGuest()]])
  const dialling = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const asked: string[] = []
  const { dial, put } = await serve({
    vmi: renamed('old'),
    node: {
      console: async ({ uid, name }) => {
        asked.push(uid)
        dialling.resolve()
        await goOn.promise
        const guest = running.get(uid)
        if (!guest) throw notFound(refusedKind(VMIS), name)
        return guest
      },
    },
  })
  const early = dial()
  const refused = once(early, 'unexpected-response')
  await dialling.promise
  put(VMIS, renamed('new'))
  running.clear()
  running.set('new', new SilentGuest())
  goOn.resolve()
  // What a node says is shown with 500.
  expect((await refused)[1].statusCode).toBe(500)
  expect(asked).toEqual(['old'])
  await once(dial(), 'open')
  expect(asked).toEqual(['old', 'new'])
})

function renamed(uid: string) {
  const vmi = vmiOf()
  return { ...vmi, metadata: { ...vmi.metadata, uid } }
}
