/** What `virtgate doctor` says of an installation behind a real kube-apiserver. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Result } from '../../src/cli/doctor/run.ts'
import { requireKube } from '../helpers/kube-cluster/binaries.ts'
import { startControlPlane, type ControlPlane, type KubeUser } from '../helpers/kube-cluster/control-plane.ts'
import { installVirtgate, type Installation } from '../helpers/kube-cluster/installation.ts'
import { runVirtgate } from '../helpers/run-virtgate.ts'
import { eventually } from '../helpers/server.ts'

/** What it finds: check → the worst of its verdicts. */
async function examine(
  user: KubeUser,
): Promise<{ code: number | null; verdicts: Record<string, string>; text: string }> {
  const { code, stdout } = await runVirtgate(user, 'doctor', '-o', 'json')
  const { results } = JSON.parse(stdout) as { results: Result[] }
  const order = ['error', 'warning', 'skipped', 'ok']
  const verdicts = results.map(({ check, findings }): [string, string] => {
    const found = findings.map(({ verdict }) => verdict)
    return [check, order.find((one) => found.some((verdict) => verdict === one)) ?? 'nothing']
  })
  return { code, verdicts: Object.fromEntries(verdicts), text: stdout }
}

requireKube()('virtgate doctor', () => {
  const stack = new AsyncDisposableStack()
  let plane: ControlPlane
  let installation: Installation

  beforeAll(async () => {
    plane = stack.use(await startControlPlane())
    installation = stack.use(await installVirtgate(plane))
  })
  afterAll(() => stack.disposeAsync())

  test('finds nothing wrong with an installation, but that it has no workers', async () => {
    const verdicts = async () => (await examine(plane.admin)).verdicts
    // The controller has to have looked at everything.
    await expect.poll(verdicts, { timeout: 60_000, interval: 500 }).toEqual({
      'kubernetes-version': 'ok',
      'aggregation-layer': 'ok',
      kinds: 'ok',
      'api-services': 'ok',
      // No pod can be called at the addresses that stand in for theirs, and nobody has put the pair into a Secret.
      certificates: 'skipped',
      'api-server': 'ok',
      webhooks: 'ok',
      // No Deployment says with what the API servers were started.
      'webhook-callers': 'skipped',
      rights: 'ok',
      kubevirt: 'ok',
      leader: 'ok',
      workers: 'error',
    })
    expect((await examine(plane.admin)).code).toBe(1)
  })

  test('says of what somebody may not look at that it is skipped', async () => {
    const { code, verdicts } = await examine(await plane.user('nobody-special'))
    expect(verdicts).toMatchObject({
      kinds: 'ok',
      'api-services': 'skipped',
      webhooks: 'skipped',
      rights: 'skipped',
    })
    expect(code).toBe(0)
  })

  test('says that a right is missing, and whose', async () => {
    const path = '/apis/rbac.authorization.k8s.io/v1/clusterroles/kubevirt-apiserver'
    const role = await plane.admin.client.call<{ rules: object[] }>({ method: 'GET', path })
    await plane.admin.client.call({ method: 'PUT', path, body: { ...role, rules: role.rules.slice(1) } })
    const { text: said } = await eventually('the missing right is seen', 30_000, async () => {
      const seen = await examine(plane.admin)
      return seen.verdicts['rights'] === 'error' && seen
    })
    expect(said).toContain('kubevirt-apiserver may not get namespaces')
  })

  test('says that the API server is gone', async () => {
    for (const server of installation.apiServers) await server.stop('SIGKILL')
    const { code, verdicts } = await eventually('kube-apiserver misses it', 60_000, async () => {
      const seen = await examine(plane.admin)
      return seen.verdicts['api-services'] === 'error' && seen
    })
    expect(verdicts).toMatchObject({ 'api-server': 'error', webhooks: 'error', kinds: 'ok' })
    expect(code).toBe(1)
  })

  test('after virtgate unregister, namespaces can be deleted though nobody answers', async () => {
    const { client } = plane.admin
    const refused = await runVirtgate(plane.admin, 'unregister', '--install-namespace', 'elsewhere')
    expect(refused.stdout).toContain('left alone')
    const { code, stdout } = await runVirtgate(plane.admin, 'unregister')
    expect(code).toBe(0)
    expect(stdout.match(/is removed/g)).toHaveLength(4)
    const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'short-lived' } }
    await client.call({ method: 'POST', path: '/api/v1/namespaces', body })
    await client.call({ method: 'DELETE', path: '/api/v1/namespaces/short-lived' })
    await eventually('the namespace is gone', 60_000, async () => {
      const { items } = await client.call<{ items: { metadata: { name: string } }[] }>({
        method: 'GET',
        path: '/api/v1/namespaces',
      })
      return !items.some(({ metadata }) => metadata.name === 'short-lived')
    })
  })
})
