import { readFile } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { requireQemu } from '../helpers/guest.ts'
import type { KubeVirt, Vm } from '../../src/kinds/kubevirt.ts'
import { eventually, guestPids, startServer } from '../helpers/server.ts'
import { awaitPhase, bootVm, openConsole, paths } from '../helpers/vms.ts'

requireQemu()('virtgate up', () => {
  test('is one process from its start on, set up to take little memory', async () => {
    await using server = await startServer()
    const ofProcess = async (what: string) =>
      (await readFile(`/proc/${server.process.pid}/${what}`, 'utf8')).split('\0')
    expect(await ofProcess('cmdline')).toContain('--max-semi-space-size=2')
    expect(await ofProcess('environ')).toContain('MALLOC_ARENA_MAX=1')
  })

  test('answers reviews as the KubeVirt object says: it names no architecture', async () => {
    await using server = await startServer()
    const { status } = await eventually('the object has a status', 10_000, async () => {
      const path = '/apis/kubevirt.io/v1/namespaces/kubevirt/kubevirts/kubevirt'
      const object = await server.client.call<KubeVirt>({ method: 'GET', path })
      return object.status?.phase === 'Deployed' && object
    })
    expect(status).not.toHaveProperty('defaultArchitecture')
    // What is written here gets that of the host all the same.
    await bootVm(server.client, 'plain', { runStrategy: 'Halted' })
    const vm = await server.client.call<Vm>({ method: 'GET', path: paths('plain').vm })
    expect(vm.spec.template.spec.architecture).toMatch(/^(amd64|arm64)$/)
  })
})

requireQemu()('virtgate up --stop-guests', () => {
  test('shuts guests down at the end; a VM that is to run starts again with the next server', async () => {
    const server = await startServer({ args: ['--stop-guests'] })
    await bootVm(server.client, 'night-shift', { runStrategy: 'Halted' })
    const before = await awaitPhase(server.client, 'night-shift', 'Running')
    const console = await openConsole(server.client, 'night-shift')
    await console.sees(/GUEST-READY/)
    expect(await server.stop('SIGTERM')).toBe(0)
    expect(console.text()).toContain('virtgate-guest: powering off')
    expect(guestPids(server.data)).toEqual([])

    await using again = await server.again()
    const after = await awaitPhase(again.client, 'night-shift', 'Running')
    expect(after.metadata.uid).not.toBe(before.metadata.uid)
    expect(guestPids(server.data)).toHaveLength(1)
  })
})

requireQemu()('virtgate up that is told to end', () => {
  test.each([0, 100, 400])(
    '%i ms after a VM came to be: it ends, and the next server has the guest',
    async (ms) => {
      const server = await startServer()
      await bootVm(server.client, 'early')
      await setTimeout(ms)
      expect(await server.stop('SIGTERM')).toBe(0)

      await using again = await server.again()
      await awaitPhase(again.client, 'early', 'Running')
      expect(guestPids(server.data)).toHaveLength(1)
    },
  )
})
