import { execFile, spawn, spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openKubeApi, type TestKubeApi } from '../../helpers/kube-api.ts'
import { until } from '../../helpers/object-registry.ts'
import { makeAuthority, servingPair } from '../../helpers/pki.ts'

const hasKubectl = spawnSync('kubectl', ['version', '--client']).status === 0
if (!hasKubectl) process.stderr.write('SKIPPING KUBECTL AND THE EMBEDDED API: no kubectl on the PATH.\n')

interface Result {
  status: number
  stdout: string
  stderr: string
}

const VM = {
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachine',
  metadata: { name: 'web', labels: { app: 'web' } },
  spec: {
    runStrategy: 'Halted',
    template: {
      metadata: { creationTimestamp: null, labels: { 'kubevirt.io/domain': 'web' } },
      spec: {
        domain: { cpu: { cores: 1 }, devices: { disks: [{ name: 'root', disk: { bus: 'virtio' } }] } },
      },
    },
  },
}
const SECRET = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'keys' }, stringData: { a: 'b' } }
const ACCOUNT = {
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  metadata: { name: 'robot' },
  imagePullSecrets: [{ name: 'one' }, { name: 'two' }],
}
const ROLE = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'Role',
  metadata: { name: 'reader' },
  rules: [{ apiGroups: ['kubevirt.io'], resources: ['virtualmachines'], verbs: ['get'] }],
}

describe.skipIf(!hasKubectl)('stock kubectl without flags', { timeout: 60_000 }, () => {
  let api: TestKubeApi
  let home: string

  beforeAll(async () => {
    const authority = await makeAuthority()
    const pair = await servingPair(authority)
    api = await openKubeApi({ tls: { ...pair, ca: authority.cert } })
    await api.app.listen({ host: '127.0.0.1', port: 0 })
    home = await mkdtemp(join(tmpdir(), 'virtgate-kubectl-'))
    // It listens on a port.
    const { port } = api.app.server.address() as AddressInfo
    for (const token of ['admin', 'alice']) {
      await writeFile(join(home, token), kubeconfig(`https://127.0.0.1:${port}`, authority.cert, token))
    }
  })
  afterAll(async () => {
    await api[Symbol.asyncDispose]()
    await rm(home, { recursive: true })
  })

  const environment = (user: string) => ({
    PATH: process.env['PATH'],
    HOME: home,
    KUBECONFIG: join(home, user),
    KUBE_EDITOR: 'sed -i s/Manual/Once/',
  })

  function runAs(user: string, args: string[], input?: unknown): Promise<Result> {
    const done = Promise.withResolvers<Result>()
    const child = execFile('kubectl', args, { env: environment(user) }, (error, stdout, stderr) => {
      done.resolve({ status: error ? 1 : 0, stdout, stderr })
    })
    child.stdin?.end(input === undefined ? '' : JSON.stringify(input))
    return done.promise
  }
  const run = (...args: string[]) => runAs('admin', args)
  const apply = (...objects: unknown[]) =>
    runAs('admin', ['apply', '-f', '-'], { apiVersion: 'v1', kind: 'List', items: objects })

  test('knows what there is', async () => {
    const { stdout } = await run('api-resources')
    expect(stdout).toMatch(/^virtualmachines +vm,vms +kubevirt\.io\/v1 +true +VirtualMachine$/m)
    expect(stdout).toMatch(/^namespaces +ns +v1 +false +Namespace$/m)
    expect((await run('api-versions')).stdout.split('\n')).toEqual(
      expect.arrayContaining([
        'v1',
        'kubevirt.io/v1',
        'subresources.kubevirt.io/v1',
        'subresources.kubevirt.io/v1alpha3',
      ]),
    )
    expect((await run('version')).stdout).toContain('Server Version: v1.34.0')
    expect((await run('get', '--raw', '/readyz?verbose')).stdout).toContain('readyz check passed')
  })

  test('explains kinds and fields', async () => {
    expect((await run('explain', 'vm.spec.runStrategy')).stdout).toMatch(
      /FIELD: runStrategy <string>[^]*Halted/,
    )
    expect((await run('explain', 'vm.spec')).stdout).toMatch(
      /template\t<VirtualMachineInstanceTemplateSpec> -required-/,
    )
    expect((await run('explain', 'secret.data')).stdout).toContain('map[string]string')
  })

  test('applies manifests twice, and then with a change', async () => {
    const first = await apply(VM, SECRET, ACCOUNT, ROLE)
    expect(first).toMatchObject({ status: 0, stderr: '' })
    expect(first.stdout.match(/ created$/gm)).toHaveLength(4)
    const { stdout: version } = await run('get', 'vm', 'web', '-o', 'jsonpath={.metadata.resourceVersion}')
    const second = await apply(VM, ACCOUNT, ROLE)
    expect(second.stdout.match(/ unchanged$/gm)).toHaveLength(3)
    expect((await run('get', 'vm', 'web', '-o', 'jsonpath={.metadata.resourceVersion}')).stdout).toBe(version)
    const account = { ...ACCOUNT, imagePullSecrets: [{ name: 'one' }, { name: 'three' }] }
    const third = await apply({ ...VM, spec: { ...VM.spec, runStrategy: 'Manual' } }, account)
    expect(third).toMatchObject({ status: 0, stderr: '' })
    expect(third.stdout.match(/ configured$/gm)).toHaveLength(2)
    expect((await run('get', 'vm', 'web', '-o', 'jsonpath={.spec.runStrategy}')).stdout).toBe('Manual')
    const names = await run('get', 'sa', 'robot', '-o', 'jsonpath={.imagePullSecrets[*].name}')
    expect(names.stdout).toBe('one three')
  })

  test('shows objects in all forms', async () => {
    expect((await run('get', 'vm')).stdout).toMatch(/^NAME +AGE +STATUS +READY *\nweb +\d+s/)
    expect((await run('get', 'vmi', '-o', 'wide')).stderr).toContain('No resources found')
    expect((await run('get', 'vm', 'web', '-o', 'yaml')).stdout).toContain('runStrategy: Manual')
    expect(JSON.parse((await run('get', 'vm', 'web', '-o', 'json')).stdout)).toMatchObject({
      kind: 'VirtualMachine',
    })
    expect((await run('get', 'vm', '-l', 'app=web', '-o', 'name')).stdout).toBe(
      'virtualmachine.kubevirt.io/web\n',
    )
    expect((await run('get', 'vm', '-A', '--sort-by=.metadata.name')).stdout).toMatch(/^NAMESPACE +NAME/)
    expect((await run('get', 'all')).stdout).toContain('virtualmachine.kubevirt.io/web')
    expect((await run('get', 'secret,sa,role')).stdout).toMatch(/secret\/keys +Opaque +1 +\d+s/)
    expect((await run('describe', 'vm', 'web')).stdout).toMatch(/Run Strategy: +Manual/)
    expect((await run('describe', 'ns', 'default')).stdout).toMatch(/Status: +Active/)
  })

  test('patches in three ways, labels, annotates, edits and replaces', async () => {
    expect(
      await run('patch', 'vm', 'web', '--type=merge', '-p', '{"metadata":{"labels":{"m":"1"}}}'),
    ).toMatchObject({ status: 0 })
    const operations = '[{"op":"add","path":"/metadata/labels/j","value":"1"}]'
    expect(await run('patch', 'vm', 'web', '--type=json', '-p', operations)).toMatchObject({ status: 0 })
    expect(await run('patch', 'secret', 'keys', '-p', '{"metadata":{"labels":{"s":"1"}}}')).toMatchObject({
      status: 0,
    })
    expect(await run('label', 'vm', 'web', 'l=1')).toMatchObject({ status: 0, stderr: '' })
    expect(await run('annotate', 'vm', 'web', 'note=x')).toMatchObject({ status: 0, stderr: '' })
    const { stdout } = await run('get', 'vm', 'web', '-o', 'json')
    const vm = JSON.parse(stdout)
    expect(vm.metadata).toMatchObject({
      labels: { app: 'web', m: '1', j: '1', l: '1' },
      annotations: { note: 'x' },
    })
    vm.spec.template.spec.domain.cpu.cores = 2
    expect(await runAs('admin', ['replace', '-f', '-'], vm)).toMatchObject({ status: 0, stderr: '' })
    expect(await run('edit', 'vm', 'web')).toMatchObject({ status: 0 })
    expect((await run('get', 'vm', 'web', '-o', 'jsonpath={.spec.runStrategy}')).stdout).toBe('Once')
    const stale = await runAs('admin', ['replace', '-f', '-'], vm)
    expect(stale.stderr).toContain('the object has been modified')
  })

  test('watches: what there is, and what comes', async () => {
    const child = spawn('kubectl', ['get', 'cm', '-w'], {
      env: environment('admin'),
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const lines: string[] = []
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
    await runAs('admin', ['create', '-f', '-'], {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'w' },
      data: { a: '1' },
    })
    await until(() => lines.length === 2)
    await run('patch', 'cm', 'w', '--type=merge', '-p', '{"data":{"b":"2"}}')
    await until(() => lines.length === 3)
    child.kill()
    expect(lines[0]).toMatch(/^NAME +DATA +AGE$/)
    expect(lines[1]).toMatch(/^w +1 +\d+s$/)
    expect(lines[2]).toMatch(/^w +2 +\d+s$/)
  })

  test('waits for a condition', async () => {
    const waiting = run('wait', 'vm/web', '--for=jsonpath={.metadata.labels.go}=yes', '--timeout=20s')
    await run('label', 'vm', 'web', 'go=yes')
    expect(await waiting).toMatchObject({ status: 0 })
  })

  test('leaves validation to the server', async () => {
    const wrong = { ...VM, metadata: { name: 'typo' }, spec: { ...VM.spec, runStategy: 'x' } }
    const refused = await apply(wrong)
    expect(refused.stderr).toContain('unknown field "spec.runStategy"')
    const bad = { ...VM, metadata: { name: 'bad' }, spec: { ...VM.spec, running: 'yes' } }
    expect((await apply(bad)).stderr).toContain('spec.running: Invalid value: "string"')
    const warned = await runAs('admin', ['create', '--validate=warn', '-f', '-'], wrong)
    expect(warned).toMatchObject({
      status: 0,
      stderr: expect.stringContaining('Warning: unknown field "spec.runStategy"'),
    })
    expect((await run('get', 'vm', 'typo', '-o', 'yaml')).stdout).not.toContain('runStategy')
  })

  test('says what a change would be', async () => {
    await apply(VM)
    expect(await runAs('admin', ['diff', '-f', '-'], VM)).toMatchObject({ status: 0, stdout: '' })
    const changed = { ...VM, spec: { ...VM.spec, runStrategy: 'Always' } }
    const difference = await runAs('admin', ['diff', '-f', '-'], changed)
    expect(difference.stdout).toMatch(/^\+ +runStrategy: Always$/m)
    const dry = await runAs('admin', ['apply', '--dry-run=server', '-f', '-'], changed)
    expect(dry.stdout).toContain('configured (server dry run)')
    expect((await run('get', 'vm', 'web', '-o', 'jsonpath={.spec.runStrategy}')).stdout).toBe('Halted')
  })

  test('is told that server-side apply is not to be had', async () => {
    const { stderr } = await runAs('admin', ['apply', '--server-side', '-f', '-'], VM)
    expect(stderr).toContain('server-side apply is not supported by this server yet')
  })

  test('asks what it may, and is refused what it may not', async () => {
    expect((await run('auth', 'can-i', 'delete', 'vms')).stdout.trim()).toBe('yes')
    expect((await runAs('alice', ['auth', 'can-i', 'get', 'vms', '-n', 'ns1'])).stdout.trim()).toBe('yes')
    expect((await runAs('alice', ['auth', 'can-i', 'delete', 'vms'])).stdout.trim()).toBe('no')
    expect((await runAs('alice', ['get', 'vm'])).stderr).toContain(
      'Error from server (Forbidden): virtualmachines.kubevirt.io is forbidden: User "alice" cannot list resource "virtualmachines" in API group "kubevirt.io" in the namespace "default"',
    )
  })

  test('deletes one, and all', async () => {
    expect(await run('delete', 'vm', 'web')).toMatchObject({
      status: 0,
      stdout: 'virtualmachine.kubevirt.io "web" deleted\n',
    })
    expect((await run('get', 'vm', 'web')).stderr).toContain('(NotFound)')
    await apply(VM, { ...VM, metadata: { name: 'second' } })
    const deleted = await run('delete', 'vm', '--all')
    expect(deleted.stdout.match(/ deleted$/gm)?.length).toBeGreaterThanOrEqual(2)
    expect((await run('get', 'vm')).stderr).toContain('No resources found')
    expect(await run('delete', 'vm', 'web')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('not found'),
    })
  })
})

function kubeconfig(server: string, ca: string, token: string): string {
  const cluster = { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') }
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster }],
    users: [{ name: 'test', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    'current-context': 'test',
  })
}
