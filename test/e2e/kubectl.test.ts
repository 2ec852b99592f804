import { spawn, spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { kubectl, startServer, type TestServer } from '../helpers/server.ts'
import { helloVm } from '../helpers/vms.ts'
import { requireQemu } from '../helpers/guest.ts'

const hasKubectl = spawnSync('kubectl', ['version', '--client']).status === 0
if (!hasKubectl) process.stderr.write('SKIPPING KUBECTL TESTS: no kubectl on the PATH.\n')
const suite = hasKubectl ? requireQemu() : describe.skip

suite('stock kubectl with the kubeconfig that the server wrote', () => {
  let server: TestServer
  const run = (...args: string[]) => kubectl(server, args)
  const apply = (object: unknown) => kubectl(server, ['apply', '-f', '-'], JSON.stringify(object))

  beforeAll(async () => {
    server = await startServer()
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
  })

  test('create, get, describe, patch, apply and delete work on VMs', () => {
    const vm = helloVm('web', { runStrategy: 'Halted' })
    expect(kubectl(server, ['create', '-f', '-'], JSON.stringify(vm))).toMatchObject({
      status: 0,
      stderr: '',
    })
    const table = run('get', 'vm').stdout
    expect(table).toMatch(/^NAME\s+AGE\s+STATUS\s+READY/)
    expect(run('get', 'vm', 'web', '-o', 'jsonpath={.spec.runStrategy}').stdout).toBe('Halted')
    expect(run('describe', 'vm', 'web').stdout).toMatch(/Run Strategy:\s+Halted/)
    const patch = JSON.stringify({ metadata: { labels: { tier: 'front' } } })
    expect(run('patch', 'vm', 'web', '--type=merge', '-p', patch).status).toBe(0)
    expect(run('get', 'vm', '-l', 'tier=front', '-o', 'name').stdout).toBe('virtualmachine.kubevirt.io/web\n')
    expect(apply(helloVm('web', { runStrategy: 'Halted', labels: { tier: 'back' } })).status).toBe(0)
    expect(run('get', 'vm', '-l', 'tier=back', '-o', 'name').stdout).toBe('virtualmachine.kubevirt.io/web\n')
    expect(run('delete', 'vm', 'web')).toMatchObject({ status: 0 })
    expect(run('get', 'vm', 'web').stderr).toContain('NotFound')
  })

  test('a misspelt field and a wrong type are refused with their paths', () => {
    const vm = helloVm('typo')
    Object.assign(vm.spec.template.spec, { domian: {} })
    expect(apply(vm).stderr).toContain('unknown field "spec.template.spec.domian"')
    const wrong = helloVm('wrong')
    Object.assign(wrong.spec.template.spec, { terminationGracePeriodSeconds: 'soon' })
    expect(apply(wrong).stderr).toContain('spec.template.spec.terminationGracePeriodSeconds')
  })

  test('get -w shows changes as they happen', async () => {
    expect(apply(helloVm('watched', { runStrategy: 'Halted' })).status).toBe(0)
    const child = spawn('kubectl', ['get', 'vm', '-w', '--no-headers'], {
      env: { ...process.env, KUBECONFIG: server.kubeconfig, HOME: '/tmp' },
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const lines: string[] = []
    const second = Promise.withResolvers<void>()
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line)
      if (lines.length === 1) run('label', 'vm', 'watched', 'seen=yes')
      if (lines.length === 2) second.resolve()
    })
    await second.promise
    child.kill()
    expect(lines.every((line) => line.startsWith('watched '))).toBe(true)
    run('delete', 'vm', 'watched')
  })

  test('a user bound to a namespaced Role works there and is refused elsewhere', () => {
    const setUp = [
      ['create', 'namespace', 'team-a'],
      ['create', 'serviceaccount', 'dev', '-n', 'team-a'],
      ['create', 'rolebinding', 'dev', '-n', 'team-a', '--clusterrole=edit', '--serviceaccount=team-a:dev'],
    ]
    for (const command of setUp) expect(run(...command)).toMatchObject({ status: 0, stderr: '' })
    const token = run('create', 'token', 'dev', '-n', 'team-a').stdout.trim()
    // An empty kubeconfig: the token has to stand alone, without the administrator's certificate.
    const url = run('config', 'view', '--raw', '-o', 'jsonpath={.clusters[0].cluster.server}').stdout
    const asDev = (...args: string[]) =>
      kubectl({ kubeconfig: '/dev/null' }, [
        `--server=${url}`,
        `--token=${token}`,
        '--insecure-skip-tls-verify',
        ...args,
      ])
    expect(asDev('get', 'vms', '-n', 'team-a')).toMatchObject({ status: 0 })
    const refused = asDev('get', 'vms', '-n', 'default')
    expect(refused.status).toBe(1)
    expect(refused.stderr).toContain('(Forbidden)')
    expect(refused.stderr).toContain('system:serviceaccount:team-a:dev')
    expect(asDev('auth', 'can-i', 'update', 'virtualmachines/start', '-n', 'default').stdout.trim()).toBe(
      'no',
    )
    const start = `/apis/subresources.kubevirt.io/v1/namespaces/default/virtualmachines/x/start`
    expect(asDev('replace', '--raw', start, '-f', '/dev/null').stderr).toContain('Forbidden')
  })

  test('somebody without credentials is nobody', () => {
    const url = run('config', 'view', '--raw', '-o', 'jsonpath={.clusters[0].cluster.server}').stdout
    const { status, stdout } = spawnSync('curl', ['-sk', `${url}/apis/kubevirt.io/v1/virtualmachines`], {
      encoding: 'utf8',
    })
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ kind: 'Status', code: 401, reason: 'Unauthorized' })
  })

  test('a second server on the same data directory is refused and told who holds it', async () => {
    await expect(startServer({ data: server.data })).rejects.toThrow(
      new RegExp(`in use by process ${server.process.pid}`),
    )
  })
})
