import { spawnSync } from 'node:child_process'
import { chmod, mkdtemp } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Vm } from '../../src/kinds/kubevirt.ts'
import type { ResourceQuota } from '../../src/kinds/quota.ts'
import { StatusError } from '../../src/lib/errors.ts'
import { requireQemu } from '../helpers/guest.ts'
import { eventually, kubectl, startServer, type TestServer } from '../helpers/server.ts'
import { helloVm } from '../helpers/vms.ts'

const LIMIT = 37
const ROUNDS = 20
const AT_ONCE = 100
const SPREAD_MS = 300
const COUNT = 'count/virtualmachines.kubevirt.io'
const VMS = '/apis/kubevirt.io/v1/namespaces/default/virtualmachines'
const QUOTAS = '/api/v1/namespaces/default/resourcequotas'

const hasKubectl = spawnSync('kubectl', ['version', '--client']).status === 0
if (!hasKubectl) process.stderr.write('SKIPPING KUBECTL TESTS: no kubectl on the PATH.\n')

/** VMs that are not started: no guest boots here. */
requireQemu()('a quota of 37 VMs', { timeout: 240_000 }, () => {
  let server: TestServer

  beforeAll(async () => {
    const data = await mkdtemp('/tmp/virtgate-e2e-')
    await chmod(data, 0o755)
    server = await startServer({ data, args: ['--durability', 'normal'] })
    const body = {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'vms' },
      spec: { hard: { [COUNT]: String(LIMIT) } },
    }
    await server.client.call({ method: 'POST', path: QUOTAS, body })
  }, 60_000)
  afterAll(async () => server?.[Symbol.asyncDispose]())

  const create = (name: string) =>
    server.client.call({ method: 'POST', path: VMS, body: helloVm(name, { runStrategy: 'Halted' }) })

  /** What the quota says is used, and what there is. */
  async function tally(): Promise<{ used: number; present: number }> {
    const quota = await server.client.call<ResourceQuota>({ method: 'GET', path: `${QUOTAS}/vms` })
    const { items } = await server.client.call<{ items: Vm[] }>({ method: 'GET', path: VMS })
    return { used: Number(quota.status?.used?.[COUNT]), present: items.length }
  }

  /** Creates that many within `spreadMs`; answers how many the server has said yes to, and takes no other refusal. */
  async function createMany(prefix: string, spreadMs: number): Promise<number> {
    const names = Array.from({ length: AT_ONCE }, (_, index) => `${prefix}-${index}`)
    const results = await Promise.allSettled(
      names.map(async (name) => {
        await sleep(Math.random() * spreadMs)
        return create(name)
      }),
    )
    for (const result of results) {
      if (result.status === 'fulfilled' || !(result.reason instanceof StatusError)) continue
      expect(result.reason.code).toBe(403)
      expect(result.reason.message).toMatch(
        /exceeded quota: vms, requested: .*=1, used: .*=37, limited: .*=37/,
      )
    }
    return results.filter(({ status }) => status === 'fulfilled').length
  }

  async function deleteAll(): Promise<void> {
    await server.client.call({ method: 'DELETE', path: VMS })
    await eventually('all VMs are gone', 20_000, async () => (await tally()).present === 0)
  }

  test('holds while the server is killed at random', async () => {
    let interrupted = 0
    for (let round = 0; round < ROUNDS; round++) {
      const killed = sleep(Math.random() * SPREAD_MS).then(() => server.stop('SIGKILL'))
      const admitted = await createMany(`round-${round}`, SPREAD_MS)
      await killed
      server = await server.again()
      const { used, present } = await tally()
      expect(present).toBeLessThanOrEqual(LIMIT)
      expect(used).toBe(present)
      // What was acknowledged is there.
      expect(present).toBeGreaterThanOrEqual(admitted)
      if (present > 0 && present < LIMIT) interrupted++
      await deleteAll()
      expect(await tally()).toEqual({ used: 0, present: 0 })
    }
    // What was killed has left nothing behind that takes room.
    expect(await createMany('last', 0)).toBe(LIMIT)
    expect(await tally()).toEqual({ used: LIMIT, present: LIMIT })
    await deleteAll()
    expect(interrupted, 'rounds that were cut off between the first and the last VM').toBeGreaterThan(0)
  })

  test.skipIf(!hasKubectl)('is shown by kubectl, as are the defaults of its namespace', async () => {
    await create('shown')
    const { stdout: table } = kubectl(server, ['get', 'quota'])
    expect(table).toMatch(/vms\s+count\/virtualmachines.kubevirt.io: 1\/37/)
    const { stdout: description } = kubectl(server, ['describe', 'quota', 'vms'])
    expect(description).toMatch(/count\/virtualmachines.kubevirt.io\s+1\s+37/)
    const range = {
      apiVersion: 'v1',
      kind: 'LimitRange',
      metadata: { name: 'sizes' },
      spec: { limits: [{ type: 'Container', max: { memory: '8Gi' }, defaultRequest: { cpu: '1' } }] },
    }
    expect(kubectl(server, ['apply', '-f', '-'], JSON.stringify(range)).stderr).toBe('')
    const { stdout: limits } = kubectl(server, ['describe', 'limits', 'sizes'])
    expect(limits).toMatch(/Container\s+memory\s+-\s+8Gi\s+8Gi\s+8Gi/)
    expect(kubectl(server, ['get', 'limits']).stdout).toMatch(/^NAME\s+CREATED AT\nsizes\s+20/)
    const { stdout: namespace } = kubectl(server, ['describe', 'namespace', 'default'])
    expect(namespace).toContain('Resource Quotas')
    expect(namespace).toContain('Resource Limits')
    kubectl(server, ['delete', 'limits', 'sizes'])
  })

  test('keeps a VM from starting, and the VM says so', async () => {
    const body = {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'no-guests' },
      spec: { hard: { 'requests.memory': '1Mi' } },
    }
    await server.client.call({ method: 'POST', path: QUOTAS, body })
    const vm = helloVm('eager', { runStrategy: 'Always' })
    await server.client.call({ method: 'POST', path: VMS, body: vm })
    await eventually('the VM tells why', 20_000, async () => {
      const { status } = await server.client.call<Vm>({ method: 'GET', path: `${VMS}/eager` })
      const failure = status?.conditions?.find(({ type }) => type === 'Failure')
      return failure?.message?.includes('exceeded quota: no-guests, requested: requests.memory=')
    })
    const quota = await server.client.call<ResourceQuota>({ method: 'GET', path: `${QUOTAS}/no-guests` })
    expect(quota.status?.used).toEqual({ 'requests.memory': '0' })
  })
})
