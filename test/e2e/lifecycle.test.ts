import { once } from 'node:events'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Vm } from '../../src/kinds/kubevirt.ts'
import { hasReason } from '../../src/lib/errors.ts'
import { dialStream } from '../../src/kube/stream.ts'
import { requireQemu } from '../helpers/guest.ts'
import { eventually, guestPids, startServer, type TestServer } from '../helpers/server.ts'
import { awaitPhase, bootVm, getVmi, helloVm, openConsole, paths } from '../helpers/vms.ts'

requireQemu()('a virtual machine from creation to deletion', () => {
  let server: TestServer

  beforeAll(async () => {
    server = await startServer()
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
  })

  const put = (path: string, body: unknown = {}) => server.client.call<void>({ method: 'PUT', path, body })
  const refusal = async (path: string, body: unknown = {}) => {
    const error: unknown = await put(path, body).then(
      () => 'not refused',
      (reason: unknown) => reason,
    )
    return error
  }

  test('start boots a guest whose console works both ways, pause holds it, stop shuts it down', async () => {
    const { client } = server
    const { vm, onVm, onVmi } = paths('alpha')
    await bootVm(client, 'alpha')
    await awaitPhase(client, 'alpha', 'Running')
    const console = await openConsole(client, 'alpha')
    await console.sees(/Hello from virtgate guest alpha/)
    await console.sees(/GUEST-READY/)
    console.type('echo sum=$((40+2))')
    await console.sees(/sum=42/)

    const display = await dialStream(client.config, onVmi('vnc?preserveSession=true'))
    const [greeting]: Buffer[] = await once(display.duplex, 'data')
    expect(greeting?.toString('latin1')).toBe('RFB 003.008\n')
    expect(
      await dialStream(client.config, onVmi('vnc?preserveSession=true')).catch((error: unknown) => error),
    ).toMatchObject({ code: 409 })
    display.duplex.destroy()

    expect(await refusal(onVm('start'))).toMatchObject({ code: 409, reason: 'Conflict' })
    expect(await refusal(onVm('stop'), { gracePeriod: 'soon' })).toMatchObject({
      code: 400,
      reason: 'BadRequest',
    })
    expect(await refusal(paths('nobody').onVm('start'))).toMatchObject({
      code: 404,
      reason: 'NotFound',
      details: { kind: 'virtualmachine', name: 'nobody', group: 'kubevirt.io' },
    })

    await put(onVmi('pause'))
    await eventually('the VM shows Paused', 10_000, async () => {
      const { status } = await client.call<Vm>({ method: 'GET', path: vm })
      return status?.printableStatus === 'Paused'
    })
    expect(await refusal(onVmi('pause'))).toMatchObject({
      code: 409,
      reason: 'Conflict',
      details: { kind: 'virtualmachineinstance', name: 'alpha', group: 'kubevirt.io' },
    })
    const before = console.text().length
    console.type('echo while-paused')
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(console.text().slice(before)).toBe('')
    await put(onVmi('unpause'))
    await console.sees(/while-paused\r?\n/)
    expect((await getVmi(client, 'alpha'))?.status?.conditions?.some(({ type }) => type === 'Paused')).toBe(
      false,
    )

    const closed = once(console.duplex, 'close')
    await put(onVm('stop'))
    await console.sees(/virtgate-guest: powering off/)
    await eventually('the VM is Stopped', 30_000, async () => {
      const { status } = await client.call<Vm>({ method: 'GET', path: vm })
      return status?.printableStatus === 'Stopped' && !status.created
    })
    await closed
    expect(await getVmi(client, 'alpha')).toBeUndefined()
    expect(guestPids(server.data)).toEqual([])
    expect(await refusal(onVm('stop'))).toMatchObject({
      code: 409,
      reason: 'Conflict',
      details: { kind: 'virtualmachine' },
    })

    await client.call({ method: 'DELETE', path: vm })
    await eventually('the VM is gone', 10_000, async () => {
      const gone = await client.call<Vm>({ method: 'GET', path: vm }).then(
        () => false,
        (error: unknown) => hasReason(error, 'NotFound'),
      )
      return gone
    })
  })

  test('a guest that ignores the power button is killed when its grace period is over', async () => {
    const { client } = server
    await bootVm(client, 'deaf', { kernelArgs: 'virtgate.deaf=1', graceSeconds: 4 })
    await awaitPhase(client, 'deaf', 'Running')
    const console = await openConsole(client, 'deaf')
    await console.sees(/GUEST-READY/)
    const asked = Date.now()
    await put(paths('deaf').onVm('stop'))
    await eventually('the guest is gone', 30_000, async () => guestPids(server.data).length === 0)
    expect(Date.now() - asked).toBeGreaterThanOrEqual(3500)
    expect(console.text()).not.toContain('powering off')
  })

  test('a guest that powers itself off leaves a Manual VM stopped', async () => {
    const { client } = server
    await bootVm(client, 'suicidal')
    await awaitPhase(client, 'suicidal', 'Running')
    const console = await openConsole(client, 'suicidal')
    await console.sees(/GUEST-READY/)
    console.type('poweroff -f')
    await awaitPhase(client, 'suicidal', 'Succeeded')
    const { status } = await client.call<Vm>({ method: 'GET', path: paths('suicidal').vm })
    expect(status?.printableStatus).toBe('Stopped')
    expect(guestPids(server.data)).toEqual([])
  })

  test('deleting a running VM ends its guest and leaves nothing', async () => {
    const { client } = server
    await bootVm(client, 'shortlived', { graceSeconds: 0 })
    await awaitPhase(client, 'shortlived', 'Running')
    await client.call({ method: 'DELETE', path: paths('shortlived').vm })
    await eventually('VM and VMI are gone', 30_000, async () => {
      const vm = await client
        .call({ method: 'GET', path: paths('shortlived').vm })
        .catch((error: unknown) => error)
      return hasReason(vm, 'NotFound') && !(await getVmi(client, 'shortlived'))
    })
    expect(guestPids(server.data)).toEqual([])
  })

  test('an Always VM comes back after its guest has powered itself off', async () => {
    const { client } = server
    const body = helloVm('phoenix', { runStrategy: 'Always', graceSeconds: 0 })
    await client.call<Vm>({ method: 'POST', path: paths('phoenix').vms, body })
    const first = await awaitPhase(client, 'phoenix', 'Running')
    const console = await openConsole(client, 'phoenix')
    await console.sees(/GUEST-READY/)
    console.type('poweroff -f')
    const second = await eventually('another VMI runs', 60_000, async () => {
      const vmi = await getVmi(client, 'phoenix')
      return vmi?.status?.phase === 'Running' && vmi.metadata.uid !== first.metadata.uid ? vmi : undefined
    })
    expect(second.metadata.ownerReferences?.[0]).toMatchObject({ kind: 'VirtualMachine', name: 'phoenix' })
    await client.call({ method: 'DELETE', path: paths('phoenix').vm })
  })

  test('what cannot be done fails the VMI with a condition that says what and why', async () => {
    const { client } = server
    const vm = helloVm('impossible')
    Object.assign(vm.spec.template.spec.domain.devices, { tpm: {} })
    await client.call<Vm>({ method: 'POST', path: paths('impossible').vms, body: vm })
    await put(paths('impossible').onVm('start'))
    const vmi = await eventually('the VMI says why', 30_000, async () => {
      const found = await getVmi(client, 'impossible')
      const condition = found?.status?.conditions?.find(({ type }) => type === 'Synchronized')
      return condition?.status === 'False' ? condition : undefined
    })
    expect(vmi.message).toContain('tpm')
    await client.call({ method: 'DELETE', path: paths('impossible').vm })
  })
})
