/** virtgate behind a real kube-apiserver: what clients see of it. */
import { Agent, request } from 'undici'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Vm } from '../../src/kinds/kubevirt.ts'
import { GROUP, VERSIONS } from '../../src/http/group.ts'
import { KINDS } from '../../src/kinds/table.ts'
import { subresources } from '../../src/subresources/index.ts'
import { requireKube } from '../helpers/kube-cluster/binaries.ts'
import { startControlPlane, type ControlPlane } from '../helpers/kube-cluster/control-plane.ts'
import { installVirtgate, type Installation } from '../helpers/kube-cluster/installation.ts'
import { apply, kubectl, kubectlPrints } from '../helpers/kube-cluster/kubectl.ts'
import { eventually } from '../helpers/server.ts'
import { helloVm, paths } from '../helpers/vms.ts'

const BASE = `/apis/${GROUP}`

requireKube()('an installation behind a real kube-apiserver', () => {
  const stack = new AsyncDisposableStack()
  let plane: ControlPlane
  let virtgate: Installation

  beforeAll(async () => {
    plane = stack.use(await startControlPlane())
    // The objects are applied with warnings as errors, and the APIServices have become Available.
    virtgate = stack.use(await installVirtgate(plane))
  })
  afterAll(() => stack.disposeAsync())

  const print = (...args: string[]) => kubectlPrints(plane.admin, args)

  test('kubectl api-resources knows all our kinds, without a complaint about any group', async () => {
    const ours = KINDS.filter(({ group }) => group.endsWith('kubevirt.io'))
    const wanted = ours.map(({ plural, group }) => `${plural}.${group}`)
    // kube-apiserver reads our discovery on its own time.
    const names = await eventually('our group is discovered', 60_000, async () => {
      const lines = (await print('api-resources', '-o', 'name')).split('\n')
      return lines.includes(`expand-vm-spec.${GROUP}`) && lines
    })
    expect(names).toEqual(expect.arrayContaining(wanted))
    const lines = await print('api-resources', '--verbs', 'list', '--namespaced', '-o', 'wide')
    expect(lines).toMatch(/^virtualmachines +vm,vms +kubevirt\.io\/v1 +true +VirtualMachine /m)
  })

  test.each(VERSIONS)('discovery of %s comes through, with a line per subresource', async (version) => {
    const list = JSON.parse(await print('get', '--raw', `${BASE}/${version}`)) as {
      resources: { name: string }[]
    }
    const names = list.resources.map(({ name }) => name)
    const wanted = subresources.map(({ resource, name }) => (resource ? `${resource.plural}/${name}` : name))
    expect(names).toEqual(expect.arrayContaining(wanted))
    expect(JSON.parse(await print('get', '--raw', `${BASE}/${version}/version`))).toMatchObject({
      gitVersion: expect.stringContaining('virtgate'),
    })
    expect(JSON.parse(await print('get', '--raw', `${BASE}/${version}/healthz`))).toBeDefined()
  })

  test('aggregated discovery has our group among all others', async () => {
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'
    const list = await getAs<{ items: { metadata: { name: string }; versions: object[] }[] }>('/apis', accept)
    expect(list.items.find(({ metadata }) => metadata.name === GROUP)?.versions).toMatchObject([
      { version: 'v1', freshness: 'Current' },
      { version: 'v1alpha3', freshness: 'Current' },
    ])
  })

  test('OpenAPI v2 and v3 of kube-apiserver have our paths', async () => {
    for (const version of VERSIONS) {
      await eventually(`OpenAPI v3 has ${version}`, 60_000, async () => {
        const index = JSON.parse(await print('get', '--raw', '/openapi/v3')) as { paths: object }
        return Object.hasOwn(index.paths, `apis/${GROUP}/${version}`)
      })
      const document = await print('get', '--raw', `/openapi/v3${BASE}/${version}`)
      expect(document).toContain(`${BASE}/${version}/namespaces/{namespace}/virtualmachines/{name}/start`)
    }
    await eventually('the merged OpenAPI v2 has our paths', 60_000, async () =>
      (await print('get', '--raw', '/openapi/v2')).includes(
        `${BASE}/v1/namespaces/{namespace}/virtualmachineinstances/{name}/console`,
      ),
    )
  })

  test('kubectl explain tells of the fields of a VM', async () => {
    expect(await print('explain', 'vm.spec')).toMatch(/runStrategy\s+<string>/)
    expect(await print('explain', 'vmi.spec.domain.devices.disks')).toContain('bootOrder')
  })

  test('a VM applies without a warning, is defaulted by our webhook, and shows in a table', async () => {
    await apply(plane.admin, [helloVm('defaulted')])
    const vm = await plane.admin.client.call<Vm>({ method: 'GET', path: paths('defaulted').vm })
    const { domain, architecture } = vm.spec.template.spec
    expect(architecture).toBe('amd64')
    expect(domain.machine?.type).toMatch(/^q35|pc-q35/)
    const table = await print('get', 'vm', 'defaulted')
    expect(table).toMatch(/^NAME +AGE +STATUS +READY/)
    // Again: nothing changes.
    expect(await apply(plane.admin, [helloVm('defaulted')])).toContain('serverside-applied')
    const again = await plane.admin.client.call<Vm>({ method: 'GET', path: paths('defaulted').vm })
    expect(again.metadata.generation).toBe(vm.metadata.generation)
    await print('delete', 'vm', 'defaulted', '--timeout=60s')
  })

  test('a VM that cannot be is refused with our causes, and nothing is stored', async () => {
    const vm = helloVm('impossible')
    Object.assign(vm.spec.template.spec.domain.devices, {
      disks: [{ name: 'gone', disk: { bus: 'virtio' } }],
    })
    const refused = await plane.admin.client
      .call({ method: 'POST', path: paths('impossible').vms, body: vm })
      .catch((error: unknown) => error)
    expect(refused).toMatchObject({
      code: 422,
      reason: 'Invalid',
      details: {
        causes: [
          {
            reason: 'FieldValueInvalid',
            field: expect.stringContaining('spec.template.spec.domain.devices.disks[0]'),
            message: expect.stringMatching(/\S/),
          },
        ],
      },
    })
    const { status, stderr } = await kubectl(plane.admin, ['apply', '-f', '-'], JSON.stringify(vm))
    expect(status).toBe(1)
    expect(stderr).toContain('spec.template.spec.domain.devices.disks[0]')
    expect((await kubectl(plane.admin, ['get', 'vm', 'impossible'])).stderr).toContain('NotFound')
  })

  test('a namespace with VMs inside goes away whole', async () => {
    await print('create', 'namespace', 'doomed')
    await apply(plane.admin, [
      helloVm('one', { namespace: 'doomed' }),
      helloVm('two', { namespace: 'doomed', runStrategy: 'Always' }),
    ])
    await eventually('a VMI is there', 30_000, async () =>
      (await print('get', 'vmi', '-n', 'doomed', '-o', 'name')).includes('two'),
    )
    await print('delete', 'namespace', 'doomed', '--timeout=120s')
    expect(await kubectl(plane.admin, ['get', 'vm,vmi', '-A', '-o', 'name'])).toMatchObject({ stdout: '' })
  })

  test('all that was said was said without an error', () => {
    for (const role of [...virtgate.apiServers, ...virtgate.controllers]) {
      const lines = role.output().split('\n')
      expect(lines.filter((line) => /"level":[56]0/.test(line))).toEqual([])
    }
  })

  async function getAs<T>(path: string, accept: string): Promise<T> {
    const { config } = plane.admin.client
    const agent = new Agent({ connect: { ...config.tls } })
    const { body } = await request(config.server + path, { dispatcher: agent, headers: { accept } })
    // The caller knows what is served there.
    const answer = (await body.json()) as T
    await agent.close()
    return answer
  }
})
