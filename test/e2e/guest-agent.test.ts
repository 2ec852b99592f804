import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { GuestRef } from '../../src/rpc/actions.ts'
import type { ImageStore } from '../../src/worker/images/store.ts'
import type { Worker } from '../../src/worker/worker.ts'
import { agentImages, agentVmi } from '../helpers/agent-guest.ts'
import { readExec } from '../helpers/exec-output.ts'
import { requireQemu } from '../helpers/guest.ts'
import {
  makeHome,
  openTestWorker,
  refOf,
  removeAll,
  requestFor,
  Screen,
  type WorkerHome,
  WorkerWatch,
} from '../helpers/worker.ts'

requireQemu()('the agent of a guest made from Debian packages', () => {
  let home: WorkerHome
  let images: ImageStore
  let worker: Worker
  let watch: WorkerWatch
  let guest: GuestRef
  let screen: Screen

  beforeAll(async () => {
    home = await makeHome()
    images = await agentImages(home)
    worker = await openTestWorker(home, { images })
    watch = new WorkerWatch(worker)
    const vmi = agentVmi('speaker', { data: true })
    guest = refOf(vmi)
    await worker.sync(requestFor(vmi))
    await watch.report(guest.uid, ({ phase }) => phase === 'Running')
    screen = await openScreen()
    await screen.shows(/GUEST-READY/)
    await watch.report(guest.uid, hasCondition('AgentConnected'))
  }, 180_000)
  afterAll(async () => {
    await watch?.[Symbol.asyncDispose]()
    if (worker) await removeAll(worker)
    await worker?.[Symbol.asyncDispose]()
    await home?.[Symbol.asyncDispose]()
  })

  const hasCondition =
    (type: string) =>
    ({ conditions }: { conditions: { type: string }[] }) =>
      conditions.some((each) => each.type === type)

  async function openScreen(): Promise<Screen> {
    return new Screen(await worker.console(guest, { mode: 'write', preserveSession: false, user: 'tester' }))
  }

  async function exec(...command: string[]) {
    return readExec(await worker.guestExec(guest, { command, timeoutSeconds: 0 }))
  }

  test('tells of the system, who is logged in and what is mounted', async () => {
    const report = await watch.report(
      guest.uid,
      ({ status }) =>
        status.guestOSInfo?.id !== undefined &&
        status.interfaces?.some(({ interfaceName }) => interfaceName) === true,
    )
    expect(report.status.guestOSInfo).toMatchObject({ id: 'debian', name: 'Debian GNU/Linux' })
    const [card] = report.status.interfaces ?? []
    expect(card).toMatchObject({
      name: 'default',
      ipAddress: '10.0.2.2',
      interfaceName: 'eth0',
      infoSource: 'domain, guest-agent',
    })
    expect(card?.ipAddresses?.[0]).toBe('10.0.2.2')
    expect(report.conditions.map(({ type }) => type)).not.toContain('AgentVersionNotSupported')
    const { info, users, filesystems } = await untilPolled(async () => {
      const found = await worker.agentInfo(guest)
      return found.filesystems.length > 0 && found.users.length > 0 && found
    })
    expect(info).toMatchObject({
      guestAgentVersion: expect.stringMatching(/^\d+\./),
      hostname: 'speaker',
      timezone: 'UTC, 0',
      fsFreezeStatus: 'thawed',
      os: { id: 'debian', kernelRelease: expect.any(String), machine: expect.any(String) },
    })
    expect(info.supportedCommands).toContainEqual({ name: 'guest-fsfreeze-freeze', enabled: true })
    expect(users).toEqual([{ userName: 'root', loginTime: expect.any(Number) }])
    expect(filesystems).toEqual([
      {
        diskName: 'vda',
        mountPoint: '/data',
        fileSystemType: 'ext4',
        usedBytes: expect.any(Number),
        totalBytes: expect.any(Number),
        disk: [{ busType: 'virtio' }],
      },
    ])
  })

  test('a program prints while it runs, and ends with its exit code', async () => {
    const script = 'echo one; sleep 4; echo two >&2; printf three; exit 7'
    const result = await exec('sh', '-c', script)
    expect(result).toMatchObject({ stdout: 'one\nthree', stderr: 'two\n', exitCode: 7 })
    const [first, last] = [result.times[0]?.atMs ?? 0, result.times.at(-1)?.atMs ?? 0]
    expect(last - first).toBeGreaterThan(1_500)
  }, 60_000)

  test.each([
    ['that is not there', ['no-such-program'], 127],
    ['that a signal ends', ['sh', '-c', 'kill -9 $$'], 137],
    ['that is given odd arguments', ['test', 'a b$(c)\n"d', '=', 'a b$(c)\n"d'], 0],
  ])(
    'a program %s',
    async (_what, command, exitCode) => {
      expect(await exec(...command)).toMatchObject({ exitCode })
    },
    60_000,
  )

  test('output of any length comes whole and in order, and nothing is left of it in the guest', async () => {
    const numbers = 'i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i + 1)); done'
    const [{ stdout }, zeros] = await Promise.all([
      exec('sh', '-c', numbers),
      exec('dd', 'if=/dev/zero', 'bs=4096', 'count=1024'),
    ])
    expect(stdout).toBe(Array.from({ length: 3000 }, (_, index) => `line ${index}\n`).join(''))
    expect(zeros.stdout.length).toBe(4096 * 1024)
    await untilPolled(
      async () => (await exec('sh', '-c', 'ls -d /run/.virtgate-* | wc -l')).stdout.trim() === '1',
    )
  }, 120_000)

  test('a program whose output nobody takes stands still, with little of it kept in the guest', async () => {
    const stream = await worker.guestExec(guest, {
      command: ['sh', '-c', 'while :; do echo 0123456789012345678901234567890123456789; done'],
      timeoutSeconds: 0,
    })
    await sleep(6_000)
    const kept = await exec('sh', '-c', 'du -sk /run/.virtgate-* | sort -n | tail -n 1 | cut -f 1')
    expect(Number(kept.stdout)).toBeGreaterThan(0)
    expect(Number(kept.stdout)).toBeLessThan(5 * 1024)
    stream.destroy()
    await untilPolled(
      async () => (await exec('sh', '-c', 'ls -d /run/.virtgate-* | wc -l')).stdout.trim() === '1',
    )
  }, 120_000)

  test('a program that takes too long, or whose user has gone, is ended with all it has started', async () => {
    const command = ['sh', '-c', 'sleep 4321 & sleep 4322']
    const late = await readExec(await worker.guestExec(guest, { command, timeoutSeconds: 2 }))
    expect(late.failure).toContain('longer than 2 s')
    const stream = await worker.guestExec(guest, { command, timeoutSeconds: 0 })
    stream.resume()
    const running = async () => (await exec('sh', '-c', 'ps -o args | grep -c "^sleep 432"')).stdout.trim()
    await untilPolled(async () => (await running()) === '2')
    stream.destroy()
    await untilPolled(async () => (await running()) === '0')
  }, 120_000)

  test('a frozen guest does not write; thawed, it goes on', async () => {
    await worker.freeze(guest, { unfreezeSeconds: 0 })
    await worker.freeze(guest, { unfreezeSeconds: 1 })
    expect((await worker.report(guest)).status.fsFreezeStatus).toBe('frozen')
    await expect(worker.guestExec(guest, { command: ['ls'], timeoutSeconds: 0 })).rejects.toMatchObject({
      code: 409,
    })
    screen.type('(echo hi >/data/file; sync; echo written-$((40+2))) & echo begun-$((40+1))')
    await screen.shows(/begun-41/)
    // Longer than the second call's time, which does not count: the guest was frozen already.
    await sleep(3_000)
    expect(screen.text).not.toContain('written-42')
    expect((await worker.report(guest)).status.fsFreezeStatus).toBe('frozen')
    await worker.unfreeze(guest)
    await screen.shows(/written-42/)
    expect((await worker.report(guest)).status.fsFreezeStatus).toBeUndefined()
    await worker.unfreeze(guest)
  }, 60_000)

  test('a frozen guest thaws when its time is up', async () => {
    await worker.freeze(guest, { unfreezeSeconds: 2 })
    screen.type('(echo hi >/data/late; sync; echo late-$((50+2))) & echo waits-$((50+1))')
    await screen.shows(/waits-51/)
    await screen.shows(/late-52/)
    const thawed = await watch.report(guest.uid, ({ status, events }) => {
      const told = events.filter(({ reason }) => reason === 'Unfrozen')
      return (
        status.fsFreezeStatus === undefined && told.some(({ message }) => message.includes('time was up'))
      )
    })
    expect(thawed.phase).toBe('Running')
  }, 60_000)

  test('it thaws in time although its worker is another one, and what that finds running is ended', async () => {
    const forgotten = await worker.guestExec(guest, { command: ['sleep', '7654'], timeoutSeconds: 0 })
    await worker.freeze(guest, { unfreezeSeconds: 4 })
    screen.type('(echo hi >/data/other; sync; echo other-$((60+2))) & echo waits-$((60+1))')
    await screen.shows(/waits-61/)
    await watch[Symbol.asyncDispose]()
    await worker[Symbol.asyncDispose]()
    expect(forgotten.destroyed).toBe(true)
    await sleep(5_000)

    worker = await openTestWorker(home, { images })
    watch = new WorkerWatch(worker)
    screen = await openScreen()
    await watch.report(guest.uid, ({ status }) => status.fsFreezeStatus === undefined)
    screen.type('cat /data/other && echo there-$((70+2))')
    await screen.shows(/there-72/)
    await untilPolled(
      async () => (await exec('sh', '-c', 'ps -o args | grep -c "^sleep 7654"')).stdout.trim() === '0',
    )
  }, 90_000)

  test('an agent that ends takes its condition along, and brings it back', async () => {
    screen.type('touch /run/stop-agent; killall qemu-ga; sleep 1; echo stopped-$((80+2))')
    await screen.shows(/stopped-82/)
    await watch.report(
      guest.uid,
      (report) => !hasCondition('AgentConnected')(report) && report.phase === 'Running',
    )
    await expect(worker.agentInfo(guest)).rejects.toMatchObject({ code: 409 })
    await expect(worker.freeze(guest, { unfreezeSeconds: 1 })).rejects.toMatchObject({ code: 409 })
    screen.type('rm /run/stop-agent; start-agent &')
    await untilPolled(async () => hasCondition('AgentConnected')(await worker.report(guest)))
  }, 60_000)

  test('a frozen guest is thawed before it is shut down', async () => {
    await untilPolled(async () => worker.freeze(guest, { unfreezeSeconds: 0 }).then(() => true))
    await worker.remove(guest, { graceSeconds: 30 })
    await watch.removed(guest.uid)
    expect(watch.reports(guest.uid).at(-1)).toMatchObject({
      phase: 'Succeeded',
      message: 'the guest has shut down',
    })
  }, 60_000)

  test('a guest is ready when its probe says so, and ended when it is found dead', async () => {
    const vmi = agentVmi('probed', {
      readinessProbe: {
        exec: { command: ['test', '-e', '/run/ready'] },
        periodSeconds: 1,
        timeoutSeconds: 5,
      },
      livenessProbe: {
        exec: { command: ['test', '!', '-e', '/run/dead'] },
        periodSeconds: 1,
        timeoutSeconds: 5,
        failureThreshold: 2,
        initialDelaySeconds: 45,
      },
    })
    const probed = refOf(vmi)
    await worker.sync(requestFor(vmi))
    await watch.report(probed.uid, ({ phase, unready }) => phase === 'Running' && unready !== undefined)
    await watch.report(probed.uid, hasCondition('AgentConnected'))
    const run = async (...command: string[]) =>
      readExec(await worker.guestExec(probed, { command, timeoutSeconds: 0 }))
    expect(await run('touch', '/run/ready')).toMatchObject({ exitCode: 0 })
    await watch.report(probed.uid, ({ phase, unready }) => phase === 'Running' && unready === undefined)
    await run('rm', '/run/ready')
    await untilPolled(async () => (await worker.report(probed)).unready?.includes('ended with 1') ?? false)
    await run('touch', '/run/dead')
    const failed = await watch.report(probed.uid, ({ phase }) => phase === 'Failed', 90_000)
    expect(failed).toMatchObject({
      reason: 'LivenessProbeFailed',
      message: expect.stringContaining('ended with 1'),
    })
  }, 240_000)

  async function untilPolled<T>(check: () => Promise<T | false>): Promise<T> {
    const endMs = Date.now() + 30_000
    for (;;) {
      const found = await check()
      if (found !== false) return found
      if (Date.now() > endMs) throw new Error('not within 30 s')
      await sleep(200)
    }
  }
})
