/** Who may do what behind a real kube-apiserver, by the roles of an installation. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { KubeClient } from '../../src/kube/client.ts'
import { StatusError } from '../../src/lib/errors.ts'
import { requireKube } from '../helpers/kube-cluster/binaries.ts'
import { startControlPlane, type ControlPlane } from '../helpers/kube-cluster/control-plane.ts'
import { installVirtgate } from '../helpers/kube-cluster/installation.ts'
import { kubectl } from '../helpers/kube-cluster/kubectl.ts'
import { eventually } from '../helpers/server.ts'
import { helloVm, paths } from '../helpers/vms.ts'

const ROLES = ['view', 'edit', 'admin'] as const
const ns = '/apis/kubevirt.io/v1/namespaces/default'
const { onVm, onVmi } = paths('some')
/** What of a role is asked for, by requests that change nothing: the VMI is absent, and the VM cannot be as asked. */
const DEEDS: Record<string, { method: 'GET' | 'PUT' | 'POST'; path: string; body?: object }> = {
  'list VMs': { method: 'GET', path: `${ns}/virtualmachines` },
  'create a VM': { method: 'POST', path: `${ns}/virtualmachines`, body: { ...helloVm('x'), spec: {} } },
  'read what the guest says of itself': { method: 'GET', path: onVmi('guestosinfo') },
  'expand a VM': { method: 'GET', path: onVm('expand-spec') },
  'start a VM': { method: 'PUT', path: onVm('start'), body: {} },
  'pause a VMI': { method: 'PUT', path: onVmi('pause'), body: {} },
  'open a console': { method: 'GET', path: onVmi('console') },
  'look at the display': { method: 'GET', path: onVmi('vnc') },
  'take a screenshot': { method: 'GET', path: onVmi('vnc/screenshot') },
  'dump the memory': { method: 'PUT', path: onVm('memorydump'), body: { claimName: 'c' } },
  'run a program in the guest': { method: 'GET', path: onVmi('guestexec') },
}
const READS = ['list VMs', 'read what the guest says of itself', 'expand a VM']
const EDITS = [...READS, 'create a VM', 'start a VM', 'pause a VMI', 'open a console', 'look at the display']
const MAY: Record<string, string[]> = {
  view: READS,
  edit: EDITS,
  admin: [...EDITS, 'take a screenshot', 'dump the memory', 'run a program in the guest'],
  nothing: [],
}

requireKube()('the roles of an installation behind a real kube-apiserver', () => {
  const stack = new AsyncDisposableStack()
  let plane: ControlPlane

  beforeAll(async () => {
    plane = stack.use(await startControlPlane())
    stack.use(await installVirtgate(plane))
    for (const role of ROLES) {
      await bind(`own-${role}`, `kubevirt.io:${role}`)
      await bind(`built-in-${role}`, role)
    }
    // The built-in roles take ours up.
    await eventually('the roles are aggregated', 30_000, async () => {
      const { client } = await plane.user('built-in-admin')
      return !isForbidden(await outcome(client, 'dump the memory'))
    })
  })
  afterAll(() => stack.disposeAsync())

  test.each(ROLES.flatMap((role) => [`own-${role}`, `built-in-${role}`]))(
    'whoever has only the role %s may do exactly what it says',
    async (name) => {
      const { client } = await plane.user(name)
      const allowed: string[] = []
      for (const deed of Object.keys(DEEDS)) {
        if (!isForbidden(await outcome(client, deed))) allowed.push(deed)
      }
      expect(allowed.toSorted()).toEqual(MAY[name.split('-').at(-1) ?? '']?.toSorted())
    },
  )

  test('whoever is bound to nothing may do nothing, and is told what he lacks', async () => {
    const { client } = await plane.user('stranger')
    for (const deed of Object.keys(DEEDS)) expect(await outcome(client, deed)).toMatchObject({ code: 403 })
    expect(await outcome(client, 'start a VM')).toMatchObject({
      message: expect.stringMatching(/User "stranger" cannot update resource "virtualmachines\/start"/),
    })
  })

  test('a right that is granted counts at once, one that is taken away for ten seconds at most', async () => {
    const { client } = await plane.user('comer')
    expect(isForbidden(await outcome(client, 'start a VM'))).toBe(true)
    const path = await bind('comer', 'kubevirt.io:edit')
    const since = Date.now()
    await eventually(
      'the right counts',
      15_000,
      async () => !isForbidden(await outcome(client, 'start a VM')),
    )
    await plane.admin.client.call({ method: 'DELETE', path })
    await eventually('it counts no more', 15_000, async () =>
      isForbidden(await outcome(client, 'start a VM')),
    )
    expect(Date.now() - since).toBeLessThan(30_000)
  })

  test('a person that kube-apiserver lets act for another is that other to us', async () => {
    const as = (user: string) => ['get', '--raw', onVm('expand-spec'), '--as', user]
    expect((await kubectl(plane.admin, as('own-view'))).stderr).toContain('NotFound')
    expect((await kubectl(plane.admin, as('stranger'))).stderr).toContain('Forbidden')
  })

  async function bind(user: string, role: string): Promise<string> {
    const path = '/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings'
    const apiGroup = 'rbac.authorization.k8s.io'
    const body = {
      apiVersion: `${apiGroup}/v1`,
      kind: 'RoleBinding',
      metadata: { name: user },
      roleRef: { apiGroup, kind: 'ClusterRole', name: role },
      subjects: [{ apiGroup, kind: 'User', name: user }],
    }
    await plane.admin.client.call({ method: 'POST', path, body })
    return `${path}/${user}`
  }
})

/** What comes of it: the refusal, or that there was none. */
async function outcome(client: KubeClient, deed: string): Promise<unknown> {
  const request = DEEDS[deed]
  if (!request) throw new RangeError(`there is no deed "${deed}"`)
  return client.call(request).catch((error: unknown) => error)
}

function isForbidden(result: unknown): boolean {
  return result instanceof StatusError && result.code === 403
}
