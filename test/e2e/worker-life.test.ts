import { once } from 'node:events'
import {
  existsSync,
  linkSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Worker } from '../../src/worker/worker.ts'
import { requireQemu } from '../helpers/guest.ts'
import {
  guestVmi,
  pidOf,
  refOf,
  requestFor,
  Screen,
  TYPING,
  WATCHING,
  type WorkerHome,
  type WorkerWatch,
  openRealWorker,
  type RealWorker,
} from '../helpers/worker.ts'

requireQemu()('a worker and its guests', () => {
  let real: RealWorker | undefined
  let home: WorkerHome
  let worker: Worker
  let watch: WorkerWatch

  beforeAll(async () => {
    real = await openRealWorker()
    ;({ home, worker, watch } = real)
  })
  afterAll(() => real?.[Symbol.asyncDispose]())

  test('start, console both ways, pause, unpause, power button, gone', async () => {
    const vmi = guestVmi('alpha')
    const guest = refOf(vmi)
    const began = performance.now()
    expect(await worker.sync(requestFor(vmi))).toMatchObject({ guest, phase: 'Scheduled' })
    const running = await watch.report(guest.uid, ({ phase }) => phase === 'Running')
    console.log(`sync to Running: ${Math.round(performance.now() - began)} ms`)
    expect(running.status).toMatchObject({
      machine: { type: expect.stringMatching(/^pc-q35-\d/) },
      memory: { guestAtBoot: '192Mi' },
      currentCPUTopology: { sockets: 1, cores: 1, threads: 1 },
      interfaces: [{ name: 'default', ipAddress: '10.0.2.2', mac: expect.stringMatching(/^02:/) }],
    })
    expect(running.conditions).toContainEqual({ type: 'LiveMigratable', status: 'True' })
    const screen = new Screen(await worker.console(guest, TYPING))
    await screen.shows(/Hello from virtgate guest alpha/)
    await screen.shows(/GUEST-READY/)
    screen.type('echo sum=$((40+2))')
    await screen.shows(/sum=42/)

    await worker.pause(guest)
    await worker.pause(guest)
    const paused = await worker.report(guest)
    expect(paused.conditions).toContainEqual(
      expect.objectContaining({ type: 'Paused', reason: 'PausedByUser' }),
    )
    screen.type('echo still=$((40+3))')
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(screen.text).not.toContain('still=43')
    await worker.unpause(guest)
    await worker.unpause(guest)
    await screen.shows(/still=43/)
    expect((await worker.report(guest)).conditions.some(({ type }) => type === 'Paused')).toBe(false)

    await worker.remove(guest, { graceSeconds: 60 })
    await expect(worker.pause(guest)).rejects.toMatchObject({ code: 409 })
    await watch.removed(guest.uid)
    expect(screen.text).toContain('powering off')
    const last = watch.reports(guest.uid).at(-1)
    expect(last?.phase).toBe('Succeeded')
    expect(last?.events.map(({ reason }) => reason)).toEqual([
      'Created',
      'Started',
      'Paused',
      'Unpaused',
      'ShuttingDown',
    ])
    await expect(worker.remove(guest, { graceSeconds: 0 })).rejects.toMatchObject({ code: 404 })
  })

  test('a deaf guest is ended when its time is up, and its VMI fails', async () => {
    const vmi = guestVmi('deaf', { kernelArgs: 'virtgate.deaf=1' })
    const guest = refOf(vmi)
    await worker.sync(requestFor(vmi))
    await watch.report(guest.uid, ({ phase }) => phase === 'Running')
    const screen = new Screen(await worker.console(guest, TYPING))
    await screen.shows(/GUEST-READY/)
    const asked = Date.now()
    await worker.remove(guest, { graceSeconds: 60 })
    await worker.remove(guest, { graceSeconds: 3 })
    // Longer than before: does not count.
    await worker.remove(guest, { graceSeconds: 300 })
    await watch.removed(guest.uid)
    expect(Date.now() - asked).toBeGreaterThanOrEqual(3000)
    expect(Date.now() - asked).toBeLessThan(15_000)
    expect(watch.reports(guest.uid).at(-1)).toMatchObject({ phase: 'Failed', reason: 'GracePeriodExpired' })
  })

  test('reset and soft reboot boot the guest again in the same QEMU; a guest that powers off keeps its report', async () => {
    const vmi = guestVmi('again')
    const guest = refOf(vmi)
    await worker.sync(requestFor(vmi))
    await watch.report(guest.uid, ({ phase }) => phase === 'Running')
    const pid = pidOf(home, guest.uid)
    const screen = new Screen(await worker.console(guest, TYPING))
    const nextBoot = async () => {
      await screen.shows(/GUEST-READY/)
      screen.text = ''
    }
    await nextBoot()
    await worker.reset(guest)
    await nextBoot()
    await worker.softreboot(guest)
    await screen.shows(/powering off/)
    await nextBoot()
    expect(pidOf(home, guest.uid)).toBe(pid)

    screen.type('poweroff -f')
    const last = await watch.report(guest.uid, ({ phase }) => phase === 'Succeeded')
    expect(last.events.map(({ reason }) => reason)).toEqual([
      'Created',
      'Started',
      'Reset',
      'SoftRebooted',
      'Stopped',
    ])
    await expect.poll(() => pidOf(home, guest.uid)).toBeUndefined()
    expect(existsSync(`/proc/${pid}/exe`)).toBe(false)
    expect(await worker.report(guest)).toMatchObject({ phase: 'Succeeded' })
    expect(existsSync(join(home.stateDir, guest.uid, 'disks'))).toBe(false)
    await worker.remove(guest, { graceSeconds: 0 })
    await watch.removed(guest.uid)
    expect(existsSync(join(home.stateDir, guest.uid))).toBe(false)
    expect(readdirSync(join(home.runDir, 'generated'))).toEqual([])
  })

  test('the display speaks RFB, is taken over, and is preserved for whoever asked to be', async () => {
    const vmi = guestVmi('screen', { startStrategy: 'Paused' })
    const guest = refOf(vmi)
    await worker.sync(requestFor(vmi))
    const paused = await watch.report(guest.uid, ({ phase }) => phase === 'Running')
    expect(paused.conditions).toContainEqual(
      expect.objectContaining({ type: 'Paused', reason: 'PausedByUser' }),
    )
    const tries = await Promise.allSettled(
      Array.from({ length: 20 }, () => worker.vnc(guest, { ...WATCHING, preserveSession: true })),
    )
    const [first, ...others] = tries.flatMap((result) =>
      result.status === 'fulfilled' ? [result.value] : [],
    )
    expect(others).toEqual([])
    expect(tries.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 503 } })
    expect(String((await once(first!, 'data'))[0])).toBe('RFB 003.008\n')
    const cut = closing(first!)
    const second = await worker.vnc(guest, WATCHING)
    await cut
    expect(String((await once(second, 'data'))[0])).toBe('RFB 003.008\n')
    second.destroy()
    await once(second, 'close')
    const third = await worker.vnc(guest, { ...WATCHING, preserveSession: true })
    third.destroy()

    const older = await worker.console(guest, TYPING)
    const taken = closing(older)
    const screen = new Screen(await worker.console(guest, TYPING))
    await taken
    await worker.unpause(guest)
    expect((await worker.report(guest)).conditions.some(({ type }) => type === 'Paused')).toBe(false)
    await screen.shows(/Linux version/)
    await worker.remove(guest, { graceSeconds: 0 })
    await watch.removed(guest.uid)
  })

  test('QEMU runs as a user of the guest alone, in its sandbox, with sockets that nobody else can reach', async () => {
    const vmi = guestVmi('confined', { startStrategy: 'Paused' })
    const { uid } = vmi.metadata
    await worker.sync(requestFor(vmi))
    await watch.report(uid, ({ phase }) => phase === 'Running')
    const status = readFileSync(`/proc/${pidOf(home, uid)}/status`, 'utf8')
    expect(status).toMatch(/^Seccomp:\t2$/m)
    expect(status).toMatch(/^NoNewPrivs:\t1$/m)
    const owner = Number(/^Uid:\t(\d+)/m.exec(status)?.[1])
    const isRoot = process.getuid?.() === 0
    expect(owner).not.toBe(0)
    expect(statSync(join(home.runDir, uid))).toMatchObject({ uid: owner, mode: 0o40700 })
    expect(statSync(join(home.stateDir, uid, 'state.json')).mode & 0o777).toBe(0o600)
    expect(statSync(join(home.stateDir, uid)).uid).toBe(process.getuid?.())

    // A QEMU that its guest has taken over puts a link to another socket in the place of its own.
    await using decoy = await openDecoy(join(home.root, 'decoy.sock'))
    const display = join(home.runDir, uid, 'vnc.sock')
    renameSync(display, `${display}.real`)
    symlinkSync(decoy.path, display)
    await expect(worker.vnc(refOf(vmi), WATCHING)).rejects.toThrow('it is not a socket')
    rmSync(display)
    linkSync(decoy.path, display)
    const stranger = worker.vnc(refOf(vmi), WATCHING).then(
      () => 'connected',
      (error: Error) => error.message,
    )
    // Without root all sockets are ours.
    expect(await stranger).toMatch(isRoot ? /it belongs to user 0/ : /^connected$/)
    expect(decoy.connections).toBe(isRoot ? 0 : 1)
    await worker.remove(refOf(vmi), { graceSeconds: 0 })
    await watch.removed(uid)
  })
})

/** Unlike `once`, does not mind how it ends. */
function closing(stream: Duplex): Promise<void> {
  return new Promise((resolve) => stream.once('close', () => resolve()))
}

async function openDecoy(path: string) {
  const server = createServer((socket) => {
    decoy.connections += 1
    socket.destroy()
  })
  const decoy = {
    path,
    connections: 0,
    async [Symbol.asyncDispose]() {
      server.close()
      await once(server, 'close')
    },
  }
  server.listen(path)
  await once(server, 'listening')
  return decoy
}
