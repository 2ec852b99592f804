/**
 * Security checklist, section D: admission. A whole `virtgate apiserver` whose webhooks anybody may ask over real TLS, as is
 * the default; one that knows its callers (D1, D2) is in `test/roles/apiserver.test.ts`. Quotas (D5) are in
 * `test/quota/cluster-ledger.test.ts`, the arithmetic of quantities (D6) in `test/lib/quantity.test.ts` and
 * `test/quota/charges.test.ts`, and what a worker refuses (D3) in `test/worker/worker.test.ts`.
 */
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DEFAULTS } from '../../apiservice/manifest.ts'
import { buildLauncherPodMutator, buildWebhookConfigurations } from '../../apiservice/webhooks.ts'
import { WEBHOOKS } from '../../src/admission/webhooks/paths.ts'
import { createPatch } from '../../src/admission/webhooks/patch.ts'
import { GROUP } from '../../src/http/group.ts'
import { applyJsonPatch } from '../../src/lib/json-patch.ts'
import type { JsonRecord } from '../../src/lib/json.ts'
import { openFrontDoor, type FrontDoor } from '../helpers/front-door.ts'
import type { RawClient } from '../helpers/front-proxy.ts'
import { readTargets, reviewOf, type Target } from '../helpers/vectors.ts'

const ADMIN = ['X-Remote-User: root', 'X-Remote-Group: system:masters']
const MUTATE = '/virtualmachineinstances-mutate'
const UPDATE = '/virtualmachineinstances-validate-update'
const targets = Object.values(readTargets())

let door: FrontDoor
let pod: RawClient

beforeAll(async () => {
  door = await openFrontDoor()
  pod = await door.connect({}, door.webhookPort)
})
afterAll(() => door[Symbol.asyncDispose]())

async function review(target: Target, object: unknown = target.object): Promise<JsonRecord> {
  const { code, body } = await pod.send('POST', target.path, reviewOf(target, object))
  expect(code).toBe(200)
  return JSON.parse(body).response
}

const VMI = { group: 'kubevirt.io', version: 'v1' }

function guestTarget(
  path: string,
  operation: string,
  object: JsonRecord,
  more: Partial<Target> = {},
): Target {
  return {
    path,
    gvk: { ...VMI, kind: 'VirtualMachineInstance' },
    gvr: { ...VMI, resource: 'virtualmachineinstances' },
    operation,
    object: {
      apiVersion: 'kubevirt.io/v1',
      kind: 'VirtualMachineInstance',
      metadata: { name: 'guest', namespace: 'default' },
      ...object,
    },
    ...more,
  }
}

/** Objects that a review might change or speak of. */
async function stored(): Promise<unknown[]> {
  const kinds = ['virtualmachines', 'virtualmachineinstances', 'virtualmachineinstancemigrations']
  const paths = [...kinds.map((kind) => `/apis/kubevirt.io/v1/${kind}`), '/api/v1/secrets']
  const lists = paths.map((path) =>
    door.objects.client.call<{ items: object[] }>({ method: 'GET', path }).then(({ items }) => items),
  )
  return Promise.all(lists)
}

describe('D1: whoever reaches the port of the webhooks', () => {
  test('is nobody there, whatever certificate and headers they have, and finds no API', async () => {
    const client = await door.connect(door.proxy, door.webhookPort)
    const start = `/apis/${GROUP}/v1/namespaces/default/virtualmachines/absent/start`
    for (const path of [start, '/apis', `/apis/${GROUP}`, '/openapi/v2']) {
      for (const method of ['GET', 'PUT']) {
        expect([path, (await client.ask(method, path, ADMIN)).code]).toEqual([path, 404])
      }
    }
    const api = await door.connect()
    expect((await api.send('POST', MUTATE, {})).code).toBe(401)
  })

  test('changes no object, and is told nothing but what follows from what they sent', async () => {
    // Those that complete make up UUIDs.
    const told = async () => {
      const answers: [string, JsonRecord][] = []
      for (const target of targets) {
        const { patch: _patch, ...answer } = await review(target)
        answers.push([target.path, answer])
      }
      return answers
    }
    const empty = await stored()
    const first = await told()
    expect(await stored()).toEqual(empty)
    const { client } = door.objects
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'a-secret' },
      stringData: { k: 'v' },
    }
    for (const namespace of ['default', 'kube-public']) {
      await client.call({ method: 'POST', path: `/api/v1/namespaces/${namespace}/secrets`, body: secret })
    }
    const names = new Set(targets.map(({ object }) => (object.metadata as { name?: string }).name ?? ''))
    for (const name of [...names].filter(Boolean)) {
      const path = '/apis/kubevirt.io/v1/namespaces/kube-public/virtualmachines'
      const template = { spec: { domain: { devices: {} } } }
      const spec = { runStrategy: 'Halted', template }
      const body = { apiVersion: 'kubevirt.io/v1', kind: 'VirtualMachine', metadata: { name }, spec }
      await client.call({ method: 'POST', path, body })
    }
    const full = await stored()
    expect(await told()).toEqual(first)
    expect(await stored()).toEqual(full)
  })
})

/**
 * A review is believed about its user, as KubeVirt does: the recorded verdicts say so. Where more than the Kubernetes API
 * reaches the port, `--webhook-client-ca` makes callers show who they are, and everybody else gets 401.
 */
test('D2: a user who is made up is told another verdict, and gains nothing by it', async () => {
  const spec = { domain: { devices: {} } }
  const object = { spec: { ...spec, terminationGracePeriodSeconds: 5 } }
  const old = guestTarget(UPDATE, 'UPDATE', { spec }).object
  const forged = guestTarget(UPDATE, 'UPDATE', object, {
    oldObject: old,
    user: { username: 'system:serviceaccount:kubevirt:kubevirt-controller' },
  })
  const somebody = { ...forged, user: { username: 'somebody' } }
  const before = await stored()
  expect(await review(somebody)).toMatchObject({ allowed: false })
  expect(await review(forged)).toMatchObject({ allowed: true })
  expect(await review(somebody)).toMatchObject({ allowed: false })
  expect(await stored()).toEqual(before)
})

test('D4: when nobody answers, nothing but our own objects has to wait', () => {
  const configurations = [...buildWebhookConfigurations(DEFAULTS), buildLauncherPodMutator(DEFAULTS)]
  for (const entry of configurations.flatMap(({ webhooks }) => webhooks)) {
    const groups = entry.rules.flatMap(({ apiGroups }) => apiGroups)
    const isOurs = groups.every((group) => /(^|\.)kubevirt\.io$/.test(group))
    // Pods of others are kept out by what they are called or labelled.
    const isNarrow = (entry.matchConditions ?? entry.objectSelector) !== undefined
    expect([entry.name, isOurs || isNarrow]).toEqual([entry.name, true])
  }
})

function operationsOf({ patch }: JsonRecord): { op: string; path: string }[] {
  return JSON.parse(Buffer.from(String(patch), 'base64').toString())
}

describe('D7: patches', () => {
  const name = fc.string({
    unit: fc.constantFrom('a', 'b', '/', '~', '0', '1', '.'),
    minLength: 1,
    maxLength: 6,
  })
  const labels = fc.dictionary(name, fc.constantFrom('x', 'y', '~1', '/'), { maxKeys: 6 })

  test('lead to what they were made for, whatever members are called, and a second one is empty', () => {
    fc.assert(
      fc.property(labels, labels, (before, after) => {
        const object = { metadata: { labels: before } }
        const wanted = { metadata: { labels: after } }
        const patch = createPatch(object, wanted, ['metadata'])
        expect(applyJsonPatch(object, patch)).toEqual(wanted)
        expect(createPatch(wanted, wanted, ['metadata'])).toEqual([])
      }),
      { numRuns: 500 },
    )
  })

  test('of our server add, and change nothing that was said', async () => {
    const given = guestTarget(MUTATE, 'CREATE', {
      metadata: { name: 'guest', namespace: 'default', labels: { 'a.b/c': 'd', 'e~f': 'g' } },
      spec: {
        architecture: 'amd64',
        terminationGracePeriodSeconds: 7,
        domain: {
          machine: { type: 'pc-q35-7.2' },
          cpu: { cores: 3, sockets: 2, threads: 1, model: 'Skylake' },
          memory: { guest: '100M' },
          devices: { disks: [{ name: 'd', disk: { bus: 'sata' } }] },
        },
        volumes: [{ name: 'd', emptyDisk: { capacity: '1Gi' } }],
      },
    })
    const operations = operationsOf(await review(given))
    expect(operations.length).toBeGreaterThan(0)
    expect(operations.filter(({ op }) => op !== 'add')).toEqual([])
    const completed = applyJsonPatch(given.object, operations)
    expect(completed).toMatchObject(given.object)
    // Finalizers and the times of phases grow with each creation, as recorded; nothing else does.
    const again = operationsOf(await review(given, completed))
    expect(again.map(({ path }) => path).sort()).toEqual([
      '/metadata/finalizers',
      '/status/phaseTransitionTimestamps',
    ])
  })
})

describe('D8: a body that is meant to hurt', () => {
  const deep = (levels: number) => `{"request":{"object":${'{"a":'.repeat(levels)}1${'}'.repeat(levels + 2)}`
  const twice = (object: string) => `{"request":{"uid":"x","operation":"CREATE","object":${object}}}`
  const long = (bytes: number) => `{"a":"${'x'.repeat(bytes - 8)}"}`
  const json = 'application/json'

  test.each([
    ['one byte more than 3 MiB', long(3 * 1024 * 1024 + 1), json, 413],
    ['65 levels', deep(63), json, 400],
    ['a name that stands twice', twice('{"spec":{"a":1,"a":1}}'), json, 400],
    ['a name that stands twice, written in two ways', twice('{"spec":{"a":1,"\\u0061":2}}'), json, 400],
    ['two requests', '{"request":{},"request":{"uid":"x"}}', json, 400],
    ['5,000 levels', deep(5000), json, 400],
    ['100,000 brackets', '['.repeat(100_000), json, 400],
    ['YAML aliases', 'a: &a [x]\nb: &b [*a,*a]\nc: [*b,*b]', 'application/yaml', 400],
    ['YAML said to be JSON', 'a: &a [x]\nb: [*a,*a]', json, 400],
    ['half a review', '{"request":', json, 400],
  ])('%s is refused at every path, and the next review is answered', async (_what, body, type, code) => {
    for (const { path } of WEBHOOKS.slice(0, code === 413 ? 1 : undefined)) {
      const socket = await door.socket({}, door.webhookPort)
      const answered = new Promise<string>((resolve) => {
        socket.once('data', (chunk: Buffer) => resolve(chunk.toString()))
      })
      const head = [`POST ${path} HTTP/1.1`, 'Host: x', `Content-Type: ${type}`, 'Connection: close']
      socket.write(`${head.join('\r\n')}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
      expect([path, (await answered).split(' ')[1]]).toEqual([path, String(code)])
      socket.destroy()
    }
    const fine = guestTarget(MUTATE, 'CREATE', { spec: { domain: { devices: {} } } })
    expect(await review(fine)).toMatchObject({ allowed: true })
  })

  test('what the limits allow is read', async () => {
    const spec = { domain: { devices: {} } }
    const labels = Object.fromEntries(Array.from({ length: 58 }, (_, at) => [`l${at}`, '"\\:{}[]']))
    const fine = guestTarget(MUTATE, 'CREATE', {
      metadata: { name: 'guest', namespace: 'default', annotations: { long: '' }, labels },
      spec,
    })
    const { metadata } = fine.object as { metadata: { annotations: { long: string } } }
    const sizeNow = Buffer.byteLength(JSON.stringify(reviewOf(fine, fine.object)))
    metadata.annotations.long = 'x'.repeat(3 * 1024 * 1024 - sizeNow)
    expect(await review(fine)).toMatchObject({ allowed: true })
    // Members that nobody knows are ignored, and told in the verdict.
    const { code } = await pod.ask('POST', MUTATE, ['Content-Type: application/json'], deep(62))
    expect(code).toBe(200)
  })
})
