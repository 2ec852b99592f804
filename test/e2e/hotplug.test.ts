import { execFileSync } from 'node:child_process'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { PersistentVolumeClaim } from '../../src/kinds/core.ts'
import type { Vm, Vmi } from '../../src/kinds/kubevirt.ts'
import { requireQemu } from '../helpers/guest.ts'
import { eventually, startServer, type TestServer } from '../helpers/server.ts'
import { awaitPhase, bootVm, getVmi, openConsole, paths, type TestConsole } from '../helpers/vms.ts'

const CLAIMS = '/api/v1/namespaces/default/persistentvolumeclaims'
const MIB = 1024 ** 2

requireQemu()('volumes of a running virtual machine', () => {
  let server: TestServer

  beforeAll(async () => {
    server = await startServer()
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
  })

  const put = (path: string, body: unknown) => server.client.call<void>({ method: 'PUT', path, body })
  const claim = (name: string, storage: string) =>
    server.client.call<PersistentVolumeClaim>({
      method: 'POST',
      path: CLAIMS,
      body: {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: { name },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } } },
      },
    })
  const volumeStatus = (vmi: Vmi | undefined, name: string) =>
    vmi?.status?.volumeStatus?.find((status) => status.name === name)
  const awaitVolume = (vm: string, name: string, phase: string | undefined) =>
    eventually(`volume ${name} ${phase ?? 'gone'}`, 60_000, async () => {
      const vmi = await getVmi(server.client, vm)
      return vmi && volumeStatus(vmi, name)?.phase === phase ? vmi : undefined
    })
  /** Sectors of each disk that the guest's kernel has. The marks are sums, so that the shell's echo has none. */
  const disksOf = async (console: TestConsole): Promise<Record<string, number>> => {
    const mark = `m${Date.now()}x`
    console.type(
      `echo ${mark}$((0+1)); cd /sys/block; grep . /dev/null [sv]d*/size 2>/dev/null; cd; echo ${mark}$((1+1))`,
    )
    const shown = await console.sees(new RegExp(`${mark}1[^]*${mark}2`))
    const found = [...shown.matchAll(/([sv]d[a-z])\/size:(\d+)/g)]
    return Object.fromEntries(found.map(([, name = '', size]) => [name, Number(size)]))
  }

  test('come and go while the guest runs, over a restart of the server, and its memory is dumped', async () => {
    const { vm, onVm } = paths('plug')
    await claim('data', '16Mi')
    await claim('fast', '32Mi')
    await claim('memory', '400Mi')
    await bootVm(server.client, 'plug')
    await awaitPhase(server.client, 'plug', 'Running')
    let console = await openConsole(server.client, 'plug')
    await console.sees(/GUEST-READY/)
    expect(await disksOf(console)).toEqual({})

    const source = (claimName: string) => ({ persistentVolumeClaim: { claimName } })
    await put(onVm('addvolume'), {
      name: 'data',
      disk: { disk: { bus: 'scsi' }, serial: 'data1' },
      volumeSource: source('data'),
    })
    await awaitVolume('plug', 'data', 'Ready')
    await put(onVm('addvolume'), {
      name: 'fast',
      disk: { disk: { bus: 'virtio' } },
      volumeSource: source('fast'),
    })
    const ready = await awaitVolume('plug', 'fast', 'Ready')
    expect(volumeStatus(ready, 'data')).toMatchObject({
      target: 'sda',
      hotplugVolume: {},
      persistentVolumeClaimInfo: { claimName: 'data', capacity: { storage: '16Mi' } },
    })
    await eventually('the guest has both disks', 20_000, async () => {
      const found = await disksOf(console)
      return found['sda'] === 16 * 2048 && found['vda'] === 32 * 2048
    })
    console.type('mkdir -p /mnt; dd if=/dev/urandom of=/dev/sda bs=1M count=4 && sync; echo written$((1+1))')
    await console.sees(/written2/)

    // The server goes, the guest stays; what is asked of the next one meets what the guest has.
    console.close()
    await server.stop()
    server = await server.again()
    console = await openConsole(server.client, 'plug')
    await put(onVm('removevolume'), { name: 'fast' })
    await awaitVolume('plug', 'fast', undefined)
    await eventually('the guest has let go of one', 20_000, async () => {
      return (await disksOf(console))['vda'] === undefined
    })
    await server.client.call({
      method: 'PATCH',
      path: `${CLAIMS}/data`,
      body: { spec: { resources: { requests: { storage: '24Mi' } } } },
      contentType: 'application/merge-patch+json',
    })
    await eventually('the disk has grown', 30_000, async () => {
      return (await disksOf(console))['sda'] === 24 * 2048
    })

    await put(onVm('memorydump'), { claimName: 'memory' })
    const dumped = await eventually('the dump is complete', 60_000, async () => {
      const found = await server.client.call<Vm>({ method: 'GET', path: vm })
      const phase = found.status?.memoryDumpRequest?.phase
      if (phase === 'Failed') throw new Error(JSON.stringify(found.status?.memoryDumpRequest))
      return phase === 'Completed' ? found : undefined
    })
    const { fileName = '' } = dumped.status?.memoryDumpRequest ?? {}
    expect(fileName).toMatch(/^plug-memory-\d{8}-\d{6}\.memory\.dump$/)
    const folder = join(server.data, 'guests', 'volumes', 'default', 'memory')
    expect(await readdir(folder)).toEqual([fileName])
    const { size } = await stat(join(folder, fileName))
    expect(size).toBeGreaterThan(192 * MIB)
    expect(size).toBeLessThan(292 * MIB)
    expect(
      execFileSync('od', ['-An', '-tx1', '-N4', join(folder, fileName)], { encoding: 'utf8' }).trim(),
    ).toBe('7f 45 4c 46')
    const held = await server.client.call<PersistentVolumeClaim>({ method: 'GET', path: `${CLAIMS}/memory` })
    expect(held.metadata.annotations?.['kubevirt.io/memory-dump']).toBe(fileName)
    console.type('echo alive=$((40+2))')
    await console.sees(/alive=42/)
    expect(await awaitVolume('plug', 'memory', undefined)).toMatchObject({ status: { phase: 'Running' } })

    await put(onVm('removememorydump'), {})
    await eventually('the dump is forgotten', 20_000, async () => {
      const found = await server.client.call<Vm>({ method: 'GET', path: vm })
      return !found.status?.memoryDumpRequest && found.spec.template.spec.volumes?.length === 1
    })

    // A VM that starts again has its disk from the start, and nothing waits for a restart.
    const running = await server.client.call<Vm>({ method: 'GET', path: vm })
    expect(running.status?.conditions?.some(({ type }) => type === 'RestartRequired')).toBe(false)
    await put(onVm('stop'), { gracePeriod: 0 })
    await eventually('the VM is stopped', 30_000, async () => {
      const { status } = await server.client.call<Vm>({ method: 'GET', path: vm })
      return status?.printableStatus === 'Stopped' && !status.stateChangeRequests
    })
    await put(onVm('start'), {})
    await awaitPhase(server.client, 'plug', 'Running')
    console = await openConsole(server.client, 'plug')
    await console.sees(/GUEST-READY/)
    expect(await disksOf(console)).toEqual({ sda: 24 * 2048 })

    // Its claim outlives it, and goes with its data when it is deleted and no guest has it.
    await server.client.call({ method: 'DELETE', path: `${CLAIMS}/data` })
    await put(onVm('stop'), { gracePeriod: 0 })
    await eventually('the claim is gone', 30_000, async () => {
      const { items } = await server.client.call<{ items: unknown[] }>({ method: 'GET', path: CLAIMS })
      return items.length === 2
    })
    expect(await readdir(join(server.data, 'guests', 'volumes', 'default'))).toEqual(['fast', 'memory'])
  }, 240_000)

  test('a claim that cannot be a directory is told so', async () => {
    await server.client.call({
      method: 'POST',
      path: CLAIMS,
      body: {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: { name: 'block' },
        spec: {
          volumeMode: 'Block',
          accessModes: ['ReadWriteOnce'],
          resources: { requests: { storage: '1Mi' } },
        },
      },
    })
    const told = await eventually('an Event', 10_000, async () => {
      const path = '/api/v1/namespaces/default/events?fieldSelector=involvedObject.name=block'
      const { items } = await server.client.call<{ items: { reason: string; message: string }[] }>({
        method: 'GET',
        path,
      })
      return items[0]
    })
    expect(told).toMatchObject({
      reason: 'ProvisioningFailed',
      message: expect.stringContaining('Filesystem'),
    })
  })
})
