/** Quotas for guests behind a real kube-apiserver, beside Kubernetes' own quota admission and quota controller. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Vmi } from '../../src/kinds/kubevirt.ts'
import type { ResourceQuota } from '../../src/kinds/quota.ts'
import { LIMIT_RANGES, RESOURCE_QUOTAS, VMIS } from '../../src/kinds/table.ts'
import { StatusError } from '../../src/lib/errors.ts'
import { RESERVATIONS_ANNOTATION } from '../../src/quota/reservations.ts'
import { openKubeStore } from '../../src/store/kube/store.ts'
import type { Store } from '../../src/store/store.ts'
import { requireKube } from '../helpers/kube-cluster/binaries.ts'
import { startControlPlane, type ControlPlane } from '../helpers/kube-cluster/control-plane.ts'
import { installVirtgate, type Installation } from '../helpers/kube-cluster/installation.ts'
import { draftOf, guestSpec, quota, vmi } from '../helpers/quotas.ts'
import { eventually } from '../helpers/server.ts'

const LIMIT = 37
const COUNT = 'count/virtualmachineinstances.kubevirt.io'

requireKube()('quotas behind a real kube-apiserver', () => {
  const stack = new AsyncDisposableStack()
  let plane: ControlPlane
  let virtgate: Installation
  let store: Store

  beforeAll(async () => {
    plane = stack.use(await startControlPlane())
    virtgate = stack.use(await installVirtgate(plane, { apiServers: 2 }))
    store = openKubeStore(plane.admin.client)
    await openQuota()
  })
  afterAll(() => stack.disposeAsync())

  /** Kubernetes' controller looks for new kinds twice a minute, and at each quota once: one that came too early is made anew. */
  async function openQuota(): Promise<void> {
    const hard = { 'requests.cpu': `${LIMIT}`, [COUNT]: '90' }
    await eventually('guests are counted', 120_000, async () => {
      await store.create(RESOURCE_QUOTAS, draftOf(quota('q', hard)))
      await eventually('the quota has a status', 30_000, async () => (await readQuota()).status?.used)
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      if ((await readQuota()).status?.used?.[COUNT] === '0') return true
      await store.delete(RESOURCE_QUOTAS, 'default', 'q')
      return false
    })
    await usedIs({ 'requests.cpu': '0', [COUNT]: '0' })
  }

  const small = { cpu: { cores: 1 }, memory: { guest: '64Mi' } }
  const guest = (name: string) => draftOf(vmi(name, guestSpec(small)))

  /** Creates a guest; the refusal where there is no room. What was refused for too many at once is asked again. */
  async function create(name: string): Promise<Vmi | StatusError> {
    for (;;) {
      try {
        return await store.create(VMIS, guest(name))
      } catch (error) {
        if (!(error instanceof StatusError)) throw error
        if (error.code === 403) return error
        if (error.code !== 429) throw error
      }
    }
  }

  async function createMany(prefix: string, count: number): Promise<StatusError[]> {
    const results = await Promise.all(
      Array.from({ length: count }, (_, index) => create(`${prefix}-${index}`)),
    )
    return results.filter((result) => result instanceof StatusError)
  }

  const guests = async () => (await store.list(VMIS, { namespace: 'default' })).items
  const readQuota = async (): Promise<ResourceQuota> => {
    const found = await store.get(RESOURCE_QUOTAS, 'default', 'q')
    if (!found) throw new Error('the quota is gone')
    return found
  }

  async function usedIs(used: Record<string, string>): Promise<void> {
    await eventually(`the quota has used ${JSON.stringify(used)}`, 120_000, async () => {
      const { status } = await readQuota()
      return Object.entries(used).every(([name, amount]) => status?.used?.[name] === amount)
    })
  }

  async function clear(): Promise<void> {
    for (const { metadata } of await guests()) await store.delete(VMIS, 'default', metadata.name)
    await eventually('the guests are gone', 60_000, async () => (await guests()).length === 0)
    await usedIs({ 'requests.cpu': '0', [COUNT]: '0' })
  }

  test('100 creates at once, through two replicas, get as many guests as there is room for', async () => {
    for (const round of ['a', 'b', 'c']) {
      const refusals = await createMany(round, 100)
      expect(await guests()).toHaveLength(LIMIT)
      expect(refusals).toHaveLength(100 - LIMIT)
      for (const { reason, message } of refusals) {
        expect(reason).toBe('Forbidden')
        expect(message).toContain('exceeded quota: q, requested: requests.cpu=1')
      }
      // Both count their own, and neither takes away what the other has written.
      await usedIs({ 'requests.cpu': `${LIMIT}`, [COUNT]: `${LIMIT}` })
      await eventually('nothing is kept any longer', 60_000, async () => {
        const { metadata } = await readQuota()
        return metadata.annotations?.[RESERVATIONS_ANNOTATION] === undefined
      })
      await clear()
    }
  })

  test('a dry run is judged, and keeps no room', async () => {
    const path = '/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstances?dryRun=All'
    const dryRun = (body: object) => plane.admin.client.call({ method: 'POST', path, body })
    await dryRun(guest('dry'))
    const large = draftOf(vmi('large', guestSpec({ ...small, cpu: { cores: LIMIT + 1 } })))
    await expect(dryRun(large)).rejects.toMatchObject({ code: 403, reason: 'Forbidden' })
    const { status, metadata } = await readQuota()
    expect(status?.used?.['requests.cpu']).toBe('0')
    expect(metadata.annotations?.[RESERVATIONS_ANNOTATION]).toBeUndefined()
  })

  test("what Kubernetes' own controller counts anew, of pods alone, opens no door", async () => {
    await createMany('before', LIMIT)
    await usedIs({ 'requests.cpu': `${LIMIT}` })
    const body = { spec: { hard: { 'requests.cpu': `${LIMIT + 1}` } } }
    const [refusals] = await Promise.all([
      createMany('after', 20),
      store.patch(RESOURCE_QUOTAS, 'default', 'q', { type: 'merge', body }),
    ])
    expect((await guests()).length).toBe(LIMIT + 20 - refusals.length)
    expect((await guests()).length).toBeLessThanOrEqual(LIMIT + 1)
    await createMany('later', 3)
    expect(await guests()).toHaveLength(LIMIT + 1)
    await usedIs({ 'requests.cpu': `${LIMIT + 1}`, [COUNT]: `${LIMIT + 1}` })
    await clear()
  })

  test('a LimitRange gives guests what they do not say, and bounds what they do', async () => {
    await store.create(LIMIT_RANGES, {
      apiVersion: 'v1',
      kind: 'LimitRange',
      metadata: { namespace: 'default', name: 'range' },
      spec: { limits: [{ type: 'Container', max: { cpu: '2' }, default: { memory: '1Gi' } }] },
    })
    await eventually('the replicas know it', 30_000, async () => {
      const made = await store.create(VMIS, guest('ranged'))
      await store.delete(VMIS, 'default', 'ranged')
      await eventually('it is gone', 30_000, async () => !(await store.get(VMIS, 'default', 'ranged')))
      return made.spec.domain.resources?.limits?.['memory'] === '1Gi'
    })
    const wide = draftOf(vmi('wide', guestSpec({ ...small, cpu: { cores: 3 } })))
    await expect(store.create(VMIS, wide)).rejects.toMatchObject({
      code: 403,
      message: expect.stringContaining('maximum cpu usage per Container is 2, but limit is 3'),
    })
  })

  test('nobody had anything to complain about', () => {
    for (const role of [...virtgate.apiServers, ...virtgate.controllers]) {
      expect(
        role
          .output()
          .split('\n')
          .filter((line) => /"level":[56]0/.test(line)),
      ).toEqual([])
    }
  })
})
