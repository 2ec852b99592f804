import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { defaultConfig } from '../../src/admission/config.ts'
import type { AdmissionParts } from '../../src/admission/judge.ts'
import { answerReview, findWebhook } from '../../src/admission/webhooks/review.ts'
import { mayUseAll } from '../../src/kinds/foreign-use.ts'
import type { Vmi } from '../../src/kinds/kubevirt.ts'
import { LIMIT_RANGES, RESOURCE_QUOTAS } from '../../src/kinds/table.ts'
import { systemClock } from '../../src/lib/clock.ts'
import type { JsonRecord } from '../../src/lib/json.ts'
import { readReservations } from '../../src/quota/reservations.ts'
import { openClusterLimits, type OpenLimits } from '../../src/roles/cluster-limits.ts'
import { openCluster } from '../../src/roles/cluster.ts'
import { openKubeStore } from '../../src/store/kube/store.ts'
import type { Store } from '../../src/store/store.ts'
import { memoryLog } from '../helpers/api.ts'
import { openObjectServer } from '../helpers/object-server.ts'
import { draftOf, guestSpec, quota, vmi } from '../helpers/quotas.ts'

const stack = new AsyncDisposableStack()
let admin: Store
let replicas: OpenLimits[]

beforeAll(async () => {
  const objects = stack.use(await openObjectServer())
  admin = openKubeStore(objects.client)
  await admin.create(RESOURCE_QUOTAS, draftOf(quota('q', { 'requests.cpu': '3' })))
  await admin.create(LIMIT_RANGES, {
    apiVersion: 'v1',
    kind: 'LimitRange',
    metadata: { namespace: 'default', name: 'range' },
    spec: { limits: [{ type: 'Container', max: { cpu: '8' }, default: { memory: '2Gi' } }] },
  })
  const kubeconfig = await objects.kubeconfigOf('kubevirt', 'kubevirt-apiserver')
  const open = async () => {
    const cluster = stack.use(await openCluster({ kubeconfig }))
    return stack.use(openClusterLimits(cluster.store, systemClock, memoryLog()))
  }
  replicas = [await open(), await open()]
  await Promise.all(replicas.map(({ synced }) => synced))
})
afterAll(() => stack.disposeAsync())

/** UIDs of guests that room is kept for. The API behind keeps `status.used` to itself. */
async function kept(): Promise<string[]> {
  const found = await admin.get(RESOURCE_QUOTAS, 'default', 'q')
  return found ? [...readReservations(found, Date.now()).keys()] : []
}

/** A guest as kube-apiserver shows it to validating webhooks: with a UID. */
function guest(name: string, cores: number): Vmi {
  const made = vmi(name, {
    ...guestSpec({ cpu: { cores, sockets: 1, threads: 1 }, memory: { guest: '64Mi' } }),
    architecture: 'amd64',
  })
  return { ...made, metadata: { ...made.metadata, uid: randomUUID() } }
}

/** What a replica says about a guest. */
async function review(
  replica: number,
  object: Vmi,
  { path = '/virtualmachineinstances-validate-create', ...more }: JsonRecord & { path?: string } = {},
): Promise<JsonRecord> {
  const limits = replicas[replica]
  const webhook = findWebhook(path)
  if (!limits || !webhook) throw new Error('there is no such replica or webhook')
  const parts: AdmissionParts = {
    config: () => defaultConfig('amd64'),
    reader: admin,
    foreignUses: () => mayUseAll,
    limits,
    clock: systemClock,
    newUid: randomUUID,
  }
  const resource = { group: 'kubevirt.io', version: 'v1', resource: 'virtualmachineinstances' }
  const request = { uid: 'r', resource, operation: 'CREATE', namespace: 'default', object, ...more }
  const body = Buffer.from(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', request }))
  const answer = await answerReview(parts, webhook, body)
  expect(answer.failure).toBeUndefined()
  return (answer.body as { response: JsonRecord }).response
}

test('D5: what one replica has let in, the other counts; a refusal names used, requested and limit', async () => {
  const first = guest('first', 2)
  expect(await review(0, first)).toMatchObject({ allowed: true })
  expect(await kept()).toEqual([first.metadata.uid])
  const refused = await review(1, guest('second', 2))
  expect(refused).toMatchObject({
    allowed: false,
    status: {
      code: 403,
      reason: 'Forbidden',
      message: expect.stringContaining(
        'exceeded quota: q, requested: requests.cpu=2, used: requests.cpu=2, limited: requests.cpu=3',
      ),
      details: { kind: 'virtualmachineinstances', name: 'second' },
    },
  })
  expect(await kept()).toHaveLength(1)
})

test('D5: a dry run, and a review without a UID, are judged and keep nothing', async () => {
  expect(await review(0, guest('dry', 1), { dryRun: true })).toMatchObject({ allowed: true })
  const { metadata, ...rest } = guest('nobody', 1)
  const { uid: _uid, ...nameless } = metadata
  expect(await review(0, { ...rest, metadata: nameless } as Vmi)).toMatchObject({ allowed: true })
  expect(await review(0, guest('dry', 4), { dryRun: true })).toMatchObject({ allowed: false })
  expect(await kept()).toHaveLength(1)
})

test('what breaks a rule keeps nothing either, and an update of the status asks for nothing', async () => {
  const wrong = guest('wrong', 1)
  wrong.spec.domain.devices.disks = [{ name: 'none', disk: { bus: 'virtio' } }]
  expect(await review(0, wrong)).toMatchObject({ allowed: false, status: { code: 422 } })
  const large = guest('large', 6)
  const path = '/virtualmachineinstances-validate-update'
  const update = { path, operation: 'UPDATE', oldObject: large }
  const running = { ...large, status: { phase: 'Running' as const } }
  expect(await review(0, running, update)).toMatchObject({ allowed: true })
  expect(await kept()).toHaveLength(1)
})

test('a LimitRange gives what is not said, and bounds what is', async () => {
  const path = '/virtualmachineinstances-mutate'
  const { patch } = await review(0, guest('ranged', 1), { path })
  const operations: { path: string; value: unknown }[] = JSON.parse(
    Buffer.from(patch as string, 'base64').toString(),
  )
  expect(JSON.stringify(operations.filter(({ path: at }) => at.startsWith('/spec')))).toContain(
    '"memory":"2Gi"',
  )
  expect(await review(0, guest('wide', 9))).toMatchObject({
    allowed: false,
    status: { code: 403, message: expect.stringContaining('maximum cpu usage per Container is 8') },
  })
})
