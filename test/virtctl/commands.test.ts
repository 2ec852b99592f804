import { once } from 'node:events'
import { chmod, mkdtemp } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { WebSocket } from 'ws'
import type { Vm } from '../../src/kinds/kubevirt.ts'
import { isTrue } from '../../src/kinds/meta.ts'
import { KUBEVIRTS } from '../../src/kinds/table.ts'
import { openDataDir } from '../../src/roles/data-dir.ts'
import { openKubeStore } from '../../src/store/kube/store.ts'
import { addAgentGuest, agentVm } from '../helpers/agent-guest.ts'
import { requireQemu } from '../helpers/guest.ts'
import { eventually, startServer, type TestServer } from '../helpers/server.ts'
import { awaitPhase, getVmi, paths } from '../helpers/vms.ts'
import { CommandFailed, openWire } from './client.ts'
import { Virtctl } from './commands.ts'

/** A data directory whose image store has the guest with an agent. */
async function makeData(): Promise<string> {
  const data = await mkdtemp('/tmp/virtgate-virtctl-')
  await chmod(data, 0o755)
  const { images } = await openDataDir(data)
  await addAgentGuest(images)
  return data
}

/** What a stream says, until it matches. */
async function says(socket: WebSocket, pattern: RegExp): Promise<string> {
  let text = ''
  const listen = (data: Buffer): void => void (text += data.toString('latin1'))
  socket.on('message', listen)
  try {
    return await eventually(
      `the stream says ${pattern}; so far ${text}`,
      60_000,
      async () => pattern.exec(text)?.[0],
    )
  } finally {
    socket.off('message', listen)
  }
}

async function failureOf(command: Promise<unknown>): Promise<CommandFailed> {
  const error: unknown = await command.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof CommandFailed))
    throw new Error(`the command did not fail as commands do: ${String(error)}`)
  return error
}

requireQemu()('the requests of virtctl', () => {
  let server: TestServer
  let virtctl: Virtctl

  beforeAll(async () => {
    server = await startServer({ data: await makeData(), args: ['--workers', '2'] })
    virtctl = new Virtctl(await openWire(server.kubeconfig), 'default')
    const configuration = { developerConfiguration: { featureGates: ['HostDisk', 'ObjectGraph'] } }
    const store = openKubeStore(server.client)
    await store.patch(KUBEVIRTS, 'kubevirt', 'kubevirt', { type: 'merge', body: { spec: { configuration } } })
    await server.client.call<Vm>({
      method: 'POST',
      path: paths('vm1').vms,
      body: agentVm('vm1', { runStrategy: 'Always' }),
    })
    await awaitPhase(server.client, 'vm1', 'Running')
    await eventually('the agent is there', 60_000, async () => {
      const vmi = await getVmi(server.client, 'vm1')
      return isTrue(vmi?.status?.conditions, 'AgentConnected')
    })
  }, 240_000)
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  const vmOf = (name: string) => server.client.call<Vm>({ method: 'GET', path: paths(name).vm })
  const claim = (name: string, storage: string) =>
    server.client.call({
      method: 'POST',
      path: '/api/v1/namespaces/default/persistentvolumeclaims',
      body: {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: { name },
        spec: { accessModes: ['ReadWriteMany'], resources: { requests: { storage } } },
      },
    })

  test('version, guestfs', async () => {
    expect((await virtctl.version()).gitVersion).toMatch(/^v1\.9\.0/)
    const { gsImage, registry, tag } = await virtctl.guestfs()
    expect(gsImage || (registry && tag)).toBeTruthy()
  })

  test('a command that fails asks for the versions, then says why', async () => {
    virtctl.wire.sent.length = 0
    const error = await failureOf(virtctl.run(() => virtctl.start('nobody')))
    expect(error).toMatchObject({ code: 404, reason: 'NotFound' })
    expect(error.message).toContain('nobody')
    expect(virtctl.wire.sent).toEqual([
      'PUT /apis/subresources.kubevirt.io/v1/namespaces/default/virtualmachines/nobody/start {}',
      'GET /apis/subresources.kubevirt.io',
      'GET /apis/subresources.kubevirt.io/v1/version',
    ])
  })

  test('start, stop and restart of what cannot be, and dry runs that change nothing', async () => {
    expect(await failureOf(virtctl.start('vm1'))).toMatchObject({ code: 409, reason: 'Conflict' })
    const before = await vmOf('vm1')
    await virtctl.stop('vm1', { dryRun: ['All'] })
    await virtctl.restart('vm1', { dryRun: ['All'] })
    await virtctl.migrate('vm1', { dryRun: ['All'] })
    await virtctl.pauseVm('vm1', 'pause', { dryRun: ['All'] })
    const after = await vmOf('vm1')
    expect(after.spec).toEqual(before.spec)
    expect(after.status?.stateChangeRequests).toBeUndefined()
    expect(isTrue((await getVmi(server.client, 'vm1'))?.status?.conditions, 'Paused')).toBe(false)
  })

  test('pause and unpause, by VM and by VMI', async () => {
    await virtctl.pauseVm('vm1', 'pause')
    await eventually('paused', 10_000, async () =>
      isTrue((await getVmi(server.client, 'vm1'))?.status?.conditions, 'Paused'),
    )
    expect(await failureOf(virtctl.pauseVmi('vm1', 'pause'))).toMatchObject({ code: 409 })
    await virtctl.pauseVmi('vm1', 'unpause')
    await eventually('unpaused', 10_000, async () => {
      const vmi = await getVmi(server.client, 'vm1')
      return !isTrue(vmi?.status?.conditions, 'Paused')
    })
  })

  test('guestosinfo, userlist, fslist', async () => {
    const { guestAgentVersion, os } = await eventually(
      'the guest is asked for its system',
      60_000,
      async () => {
        const info = await virtctl.guestosinfo('vm1')
        return 'id' in (info.os ?? {}) && info
      },
    )
    expect(guestAgentVersion).toMatch(/^\d+\./)
    expect(os).toMatchObject({ id: 'debian' })
    const users = await eventually('somebody is logged in', 60_000, async () => {
      const { items } = await virtctl.userlist('vm1')
      return items.length > 0 && items
    })
    expect(users).toMatchObject([{ userName: 'root' }])
    expect(Array.isArray((await virtctl.fslist('vm1')).items)).toBe(true)
  })

  test('console, which waits for a guest that is not running yet, and ssh-like forwarding', async () => {
    const console = await virtctl.console('vm1', 5)
    console.send(Buffer.from('echo sum=$((40+2))\n'))
    await says(console, /sum=42/)
    console.close(1000)
    await once(console, 'close')

    const tcp = await virtctl.portForward('virtualmachines', 'vm1', 7, 'tcp')
    tcp.send(Buffer.from('hello over tcp'))
    expect(await says(tcp, /hello over tcp/)).toBe('hello over tcp')
    tcp.close(1000)
    const udp = await virtctl.portForward('virtualmachineinstances', 'vm1', 7, 'udp')
    udp.send(Buffer.from('hello over udp'))
    await says(udp, /hello over udp/)
    udp.close(1000)
  })

  test('vnc with and without a session to preserve, and its screenshot', async () => {
    const vnc = await virtctl.vnc('vm1', false)
    await says(vnc, /RFB 003\.008/)
    expect(await failureOf(virtctl.vnc('vm1', true))).toMatchObject({ code: 409 })
    vnc.close(1000)
    await once(vnc, 'close')
    const png = await virtctl.vncScreenshot('vm1')
    expect(png.subarray(0, 8).toString('hex')).toBe('89504e470d0a1a0a')
  })

  test('usbredir of a guest without the device says so', async () => {
    expect(await failureOf(virtctl.usbredir('vm1'))).toMatchObject({ code: 409, reason: 'Conflict' })
  })

  test('addvolume and removevolume', async () => {
    await claim('extra', '16Mi')
    expect(await failureOf(virtctl.addvolume('vm1', 'missing'))).toMatchObject({ code: 404 })
    await virtctl.addvolume('vm1', 'extra')
    const phaseOf = async () =>
      (await getVmi(server.client, 'vm1'))?.status?.volumeStatus?.find(({ name }) => name === 'extra')?.phase
    await eventually('the volume is ready', 60_000, async () => (await phaseOf()) === 'Ready')
    expect(await failureOf(virtctl.addvolume('vm1', 'extra'))).toMatchObject({ code: 409 })
    await virtctl.removevolume('vm1', 'extra')
    await eventually('the volume is gone', 60_000, async () => (await phaseOf()) === undefined)
    expect(await failureOf(virtctl.removevolume('vm1', 'extra'))).toMatchObject({ code: 409 })
  })

  test('memory-dump get and remove', async () => {
    await claim('dump', '600Mi')
    await virtctl.memoryDump('vm1', 'dump')
    await eventually('the dump is done', 120_000, async () => {
      const { status } = await vmOf('vm1')
      return status?.memoryDumpRequest?.phase === 'Completed'
    })
    expect((await vmOf('vm1')).status?.memoryDumpRequest).toMatchObject({ claimName: 'dump' })
    await virtctl.memoryDumpRemove('vm1')
    await eventually(
      'the request is gone',
      60_000,
      async () => !(await vmOf('vm1')).status?.memoryDumpRequest,
    )
  })

  test('expand, objectgraph', async () => {
    expect(await virtctl.expandVm('vm1')).toMatchObject({ kind: 'VirtualMachine', metadata: { name: 'vm1' } })
    const manifest = agentVm('vm2', { runStrategy: 'Halted' })
    expect(await virtctl.expandFile(manifest)).toMatchObject({ metadata: { name: 'vm2' } })
    const graph = await virtctl.objectgraph('virtualmachines', 'vm1', { includeOptionalNodes: true })
    expect(graph).toMatchObject({ objectReference: { kind: 'VirtualMachine', name: 'vm1' } })
  })

  test('evacuate-cancel where nothing is evacuated', async () => {
    await virtctl.evacuateCancel('virtualmachineinstances', 'vm1')
    await virtctl.evacuateCancel('virtualmachines', 'vm1')
    expect((await getVmi(server.client, 'vm1'))?.status).not.toHaveProperty('evacuationNodeName')
  })

  test('migrate, and migrate-cancel of nothing', async () => {
    const from = (await getVmi(server.client, 'vm1'))?.status?.nodeName
    await virtctl.migrate('vm1')
    await eventually('the guest is on the other node', 120_000, async () => {
      const vmi = await getVmi(server.client, 'vm1')
      return vmi?.status?.migrationState?.completed && vmi.status.nodeName !== from
    })
    await eventually('no migration is active', 30_000, async () => {
      const error = await virtctl.migrateCancel('vm1').catch((reason: unknown) => reason)
      return error instanceof CommandFailed && error.message.startsWith('Found no migration')
    })
    const console = await virtctl.console('vm1', 5)
    console.send(Buffer.from('echo again=$((40+3))\n'))
    expect(await says(console, /again=43/)).toBe('again=43')
    console.close(1000)
  })

  test('soft-reboot, reset, restart, stop and start', async () => {
    const console = await virtctl.console('vm1', 5)
    await virtctl.reset('vm1')
    await says(console, /GUEST-READY/)
    await virtctl.softReboot('vm1')
    await says(console, /GUEST-READY/)
    const { uid } = (await getVmi(server.client, 'vm1'))?.metadata ?? {}
    await virtctl.restart('vm1', { gracePeriodSeconds: 0 })
    await eventually('another guest runs', 60_000, async () => {
      const vmi = await getVmi(server.client, 'vm1')
      return vmi?.status?.phase === 'Running' && vmi.metadata.uid !== uid
    })
    await virtctl.stop('vm1', { gracePeriod: 0 })
    await eventually('the guest is gone', 60_000, async () => !(await getVmi(server.client, 'vm1')))
    expect((await vmOf('vm1')).spec.runStrategy).toBe('Halted')
    expect(await failureOf(virtctl.pauseVm('vm1', 'pause'))).toMatchObject({
      message: 'VM vm1 has RunStrategy Halted',
    })
    await virtctl.start('vm1', { paused: true })
    // A console of a guest that is not there yet is 404, and of one that is not running 400: virtctl waits for that.
    await eventually('the guest is there', 60_000, async () => getVmi(server.client, 'vm1'))
    const again = await virtctl.console('vm1', 60)
    again.close(1000)
    await virtctl.stop('vm1', { gracePeriod: 0 })
  })
})
