import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Condition } from '../../src/kinds/meta.ts'
import { ImageError } from '../../src/worker/images/error.ts'
import { StateDirInUse, type Worker } from '../../src/worker/worker.ts'
import { fakeVmi, fastClock, noImages, openFakeWorker } from '../helpers/fake-worker.ts'
import {
  makeHome,
  pidOf,
  refOf,
  removeAll,
  requestFor,
  Screen,
  TYPING,
  WATCHING,
  type WorkerHome,
  WorkerWatch,
} from '../helpers/worker.ts'

let home: WorkerHome
let worker: Worker
let watch: WorkerWatch

beforeEach(async () => {
  home = await makeHome()
  await open()
})
afterEach(async () => {
  await removeAll(worker)
  await close()
  await home[Symbol.asyncDispose]()
})

async function open(more: Parameters<typeof openFakeWorker>[1] = {}): Promise<void> {
  worker = await openFakeWorker(home, more)
  watch = new WorkerWatch(worker)
}

async function close(): Promise<void> {
  await watch[Symbol.asyncDispose]()
  await worker[Symbol.asyncDispose]()
}

async function reopen(more: Parameters<typeof openFakeWorker>[1]): Promise<void> {
  await close()
  await open(more)
}

/** Starts a guest and waits until it runs. */
async function boot(name: string, spec: Parameters<typeof fakeVmi>[1] = {}) {
  const vmi = fakeVmi(name, spec)
  await worker.sync(requestFor(vmi))
  await watch.report(vmi.metadata.uid, ({ phase }) => phase === 'Running')
  return refOf(vmi)
}

const typesOf = (conditions: Condition[]): string[] => conditions.map(({ type }) => type)

test('says what the node is, and with what guests are run', async () => {
  expect(await worker.info()).toMatchObject({
    nodeName: 'test-node',
    accelerator: 'tcg',
    acceleratorNote: 'tests emulate',
    qemuVersion: '7.2.0',
    machineTypes: ['pc-q35-7.2'],
    rpcVersions: ['1'],
    capacity: { cpus: expect.any(Number), memoryBytes: expect.any(Number) },
  })
})

test('a guest that does not start is tried three times, then fails with what QEMU said', async () => {
  const vmi = fakeVmi('dies')
  await worker.sync(requestFor(vmi))
  const failed = await watch.report(vmi.metadata.uid, ({ phase }) => phase === 'Failed')
  expect(failed).toMatchObject({
    reason: 'StartFailed',
    conditions: [
      {
        type: 'Synchronized',
        status: 'False',
        reason: 'StartFailed',
        message: 'QEMU did not start: disk.img: it does not work',
      },
    ],
  })
  const { events } = failed
  expect(events.filter(({ reason }) => reason === 'Created')).toHaveLength(3)
  expect(events.filter(({ reason }) => reason === 'StartFailed')).toHaveLength(1)
  expect(
    readFileSync(join(home.stateDir, vmi.metadata.uid, 'qemu.log'), 'utf8').match(/it does not work/g),
  ).toHaveLength(3)
})

test.each([
  ['panics', 'GuestPanicked'],
  ['crashes', 'QemuExited'],
])(
  'a guest that %s fails, its QEMU is ended, and its report stays until it is removed',
  async (name, reason) => {
    const vmi = fakeVmi(name)
    const guest = refOf(vmi)
    await worker.sync(requestFor(vmi))
    const failed = await watch.report(guest.uid, ({ phase }) => phase === 'Failed')
    expect(failed).toMatchObject({ reason })
    await expect.poll(() => pidOf(home, guest.uid)).toBeUndefined()
    expect(await worker.report(guest)).toMatchObject({ phase: 'Failed', reason })
    await expect(worker.pause(guest)).rejects.toMatchObject({ code: 409, reason: 'Conflict' })
    await worker.remove(guest, { graceSeconds: 0 })
    await watch.removed(guest.uid)
    expect(readdirSync(home.stateDir).filter((name) => name === guest.uid)).toEqual([])
  },
)

test('without KVM a guest fails where emulation is not allowed', async () => {
  const vmi = fakeVmi('slow')
  await worker.sync(requestFor(vmi, { config: { allowEmulation: false } }))
  const failed = await watch.report(vmi.metadata.uid, ({ phase }) => phase === 'Failed')
  expect(failed.conditions[0]).toMatchObject({ type: 'Synchronized', reason: 'HypervisorUnavailable' })
  expect(failed.conditions[0]?.message).toContain('tests emulate')
})

test('D3: what cannot be built fails the guest, naming the field', async () => {
  const vmi = fakeVmi('odd', { domain: { devices: { downwardMetrics: {} } } })
  await worker.sync(requestFor(vmi))
  const failed = await watch.report(vmi.metadata.uid, ({ phase }) => phase === 'Failed')
  expect(failed.conditions[0]?.message).toMatch(/^spec\.domain\.devices\.downwardMetrics: /)
})

test('a guest whose disk is full is paused and says why, and goes on when there is room', async () => {
  const guest = await boot('fills')
  const paused = await watch.report(guest.uid, ({ conditions }) => typesOf(conditions).includes('Paused'))
  expect(paused.conditions).toContainEqual(
    expect.objectContaining({ type: 'Paused', reason: 'PausedIOError' }),
  )
  expect(paused.events.at(-1)).toMatchObject({
    type: 'Warning',
    message: expect.stringContaining('No space left on device'),
  })
  await expect
    .poll(async () => typesOf((await worker.report(guest)).conditions), { timeout: 5000 })
    .not.toContain('Paused')
})

test('a monitor that hangs up is connected to again; the guest goes on', async () => {
  const guest = await boot('drops')
  const pid = pidOf(home, guest.uid)
  await sleep(200)
  await expect
    .poll(
      () =>
        worker.pause(guest).then(
          () => 'paused',
          () => 'refused',
        ),
      { timeout: 10_000 },
    )
    .toBe('paused')
  expect(pidOf(home, guest.uid)).toBe(pid)
  expect(await worker.report(guest)).toMatchObject({ phase: 'Running' })
})

test('a guest that shuts down when it is told to succeeds; one that does not is ended in time', async () => {
  const [polite, deaf, noAcpi] = [
    await boot('polite'),
    await boot('deaf'),
    await boot('deaf-too', { domain: { devices: {}, features: { acpi: { enabled: false } } } }),
  ]
  for (const guest of [polite, deaf, noAcpi]) await worker.remove(guest, { graceSeconds: 10 })
  for (const guest of [polite, deaf, noAcpi]) await watch.removed(guest.uid)
  const [first, second, third] = [polite, deaf, noAcpi].map(({ uid }) => watch.reports(uid).at(-1))
  expect(first).toMatchObject({ phase: 'Succeeded' })
  expect(second).toMatchObject({ phase: 'Failed', reason: 'GracePeriodExpired' })
  expect(third).toMatchObject({ phase: 'Succeeded' })
})

test('a paused guest is let go on, so that it can shut down', async () => {
  const guest = await boot('polite')
  await worker.pause(guest)
  await worker.remove(guest, { graceSeconds: 100 })
  await watch.removed(guest.uid)
  expect(watch.reports(guest.uid).at(-1)).toMatchObject({ phase: 'Succeeded' })
})

test('a guest is told to be gone only after its last report, and then nobody knows it', async () => {
  const guest = await boot('polite')
  await worker.remove(guest, { graceSeconds: 100 })
  await watch.removed(guest.uid)
  const [last, removed] = watch.updates.slice(-2)
  expect(last).toMatchObject({ type: 'report', guest: { phase: 'Succeeded' } })
  expect(removed).toEqual({ type: 'removed', guest })
  for (const call of [
    worker.report(guest),
    worker.remove(guest, { graceSeconds: 0 }),
    worker.console(guest, TYPING),
  ]) {
    await expect(call).rejects.toMatchObject({
      code: 404,
      details: { kind: 'virtualmachineinstance', name: 'polite' },
    })
  }
})

test('B8: a console ends with its guest, and another UID is nobody, whatever its name', async () => {
  const guest = await boot('talks')
  const other = { ...guest, uid: randomUUID() }
  await expect(worker.console(other, TYPING)).rejects.toMatchObject({ code: 404 })
  const { stream } = new Screen(await worker.console(guest, TYPING))
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  stream.on('error', () => {}).once('close', resolve)
  await worker.remove(guest, { graceSeconds: 0 })
  await closed
})

test('an agent is reported, reboots the guest and shuts it down', async () => {
  const guest = await boot('agent-deaf')
  await watch.report(guest.uid, ({ conditions }) => typesOf(conditions).includes('AgentConnected'))
  await worker.softreboot(guest)
  expect((await worker.report(guest)).events.at(-1)).toMatchObject({ reason: 'SoftRebooted' })
  await reopen({})
  expect(typesOf((await worker.report(guest)).conditions)).toContain('AgentConnected')
  await worker.remove(guest, { graceSeconds: 100 })
  await watch.removed(guest.uid)
  expect(watch.reports(guest.uid).at(-1)).toMatchObject({ phase: 'Succeeded' })
})

test('a soft reboot needs an agent or ACPI, and a guest that is not paused', async () => {
  const mute = await boot('mute', { domain: { devices: {}, features: { acpi: { enabled: false } } } })
  await expect(worker.softreboot(mute)).rejects.toMatchObject({ code: 409 })
  const plain = await boot('plain')
  await worker.pause(plain)
  await expect(worker.softreboot(plain)).rejects.toMatchObject({ code: 409 })
  await worker.unpause(plain)
  const pid = pidOf(home, plain.uid)
  await worker.softreboot(plain)
  await sleep(200)
  expect(await worker.report(plain)).toMatchObject({ phase: 'Running' })
  expect(pidOf(home, plain.uid)).toBe(pid)
})

test('a lower epoch is refused, the same request is taken, and nothing more is taken while a guest is removed', async () => {
  const vmi = fakeVmi('deaf')
  await worker.sync(requestFor(vmi, { epoch: 5 }))
  await watch.report(vmi.metadata.uid, ({ phase }) => phase === 'Running')
  const pid = pidOf(home, vmi.metadata.uid)
  await expect(worker.sync(requestFor(vmi, { epoch: 4 }))).rejects.toMatchObject({ code: 409 })
  expect(await worker.sync(requestFor(vmi, { epoch: 5 }))).toMatchObject({ phase: 'Running' })
  expect(await worker.sync(requestFor(vmi, { epoch: 6 }))).toMatchObject({ epoch: 6 })
  expect(pidOf(home, vmi.metadata.uid)).toBe(pid)
  await reopen({})
  await expect(worker.sync(requestFor(vmi, { epoch: 5 }))).rejects.toMatchObject({ code: 409 })
  await worker.remove(refOf(vmi), { graceSeconds: 1000 })
  await expect(worker.sync(requestFor(vmi, { epoch: 7 }))).rejects.toMatchObject({ code: 409 })
  await expect(worker.reset(refOf(vmi))).rejects.toMatchObject({ code: 409 })
})

test.each(['../up', 'a/b', '', '.', 'x'.repeat(40)])('a UID that is none is refused: %j', async (uid) => {
  const vmi = fakeVmi('odd')
  vmi.metadata.uid = uid
  await expect(worker.sync(requestFor(vmi))).rejects.toMatchObject({ code: 400 })
})

test('a guest that starts paused runs when it is unpaused', async () => {
  const guest = await boot('later', { startStrategy: 'Paused' })
  expect((await worker.report(guest)).conditions).toContainEqual(
    expect.objectContaining({ type: 'Paused', reason: 'PausedByUser' }),
  )
  await worker.unpause(guest)
  await expect.poll(async () => typesOf((await worker.report(guest)).conditions)).not.toContain('Paused')
})

test('two workers cannot have one state directory', async () => {
  const refused = await openFakeWorker(home).catch((error: unknown) => error)
  expect(refused).toBeInstanceOf(StateDirInUse)
  expect(String(refused)).toContain(`process ${process.pid}`)
  await reopen({})
  expect(await worker.info()).toMatchObject({ nodeName: 'test-node' })
})

test('a run directory that is too long for sockets is refused with how much', async () => {
  await expect(
    openFakeWorker({ ...home, stateDir: `${home.stateDir}2`, runDir: join(home.root, 'r'.repeat(80)) }),
  ).rejects.toThrow(/characters too long/)
})

test('many calls for one guest at once are taken one by one, and too many refused', async () => {
  const guest = await boot('busy')
  const calls = await Promise.allSettled(
    Array.from({ length: 40 }, (_, index) => (index % 2 ? worker.unpause(guest) : worker.pause(guest))),
  )
  const refused = calls.flatMap((call) => (call.status === 'rejected' ? [call.reason.code] : []))
  expect(new Set(refused)).toEqual(new Set([429]))
  expect(calls.length - refused.length).toBe(16)
  expect(await worker.report(guest)).toMatchObject({ phase: 'Running' })
})

test('the serial console echoes, ends with its guest, and is given back after a restart of the worker', async () => {
  const guest = await boot('talks')
  const screen = new Screen(await worker.console(guest, TYPING))
  screen.type('hello')
  await screen.shows(/hello\n/)
  const ended = once(screen.stream, 'error')
  await reopen({})
  expect((await ended)[0]).toMatchObject({ name: 'StreamEnded', reason: 'draining' })
  const again = new Screen(await worker.console(guest, TYPING))
  again.type('again')
  await again.shows(/again\n/)
})

test('a guest without serial port or display says so', async () => {
  const guest = await boot('bare', {
    domain: { devices: { autoattachSerialConsole: false, autoattachGraphicsDevice: false } },
  })
  await expect(worker.console(guest, TYPING)).rejects.toMatchObject({ code: 400 })
  await expect(worker.vnc(guest, WATCHING)).rejects.toMatchObject({ code: 400 })
})

const withImage = { volumes: [{ name: 'root', containerDisk: { image: 'registry.test/image' } }] }

test('a pull tells how far it is, fails with ErrImagePull, then ImagePullBackOff, and is tried again', async () => {
  let tries = 0
  const ensure = async (_image: string, { onProgress }: { onProgress?: (progress: object) => void } = {}) => {
    tries += 1
    onProgress?.({ reference: 'registry.test/image', doneBytes: 5 * 1024 ** 2, totalBytes: 10 * 1024 ** 2 })
    await sleep(10)
    throw new ImageError('ErrImagePull', `no route, try ${tries}`)
  }
  await reopen({ images: { ...noImages, ensure }, clock: fastClock(200) })
  const vmi = fakeVmi('pulls', {
    ...withImage,
    domain: { devices: { disks: [{ name: 'root', disk: { bus: 'virtio' } }] } },
  })
  await worker.sync(requestFor(vmi))
  const { uid } = vmi.metadata
  await watch.report(uid, ({ message }) => message === 'pulling registry.test/image: 5.0 of 10.0 MiB')
  await watch.report(uid, ({ conditions }) => conditions[0]?.reason === 'ErrImagePull')
  const backedOff = await watch.report(uid, ({ conditions }) => conditions[0]?.reason === 'ImagePullBackOff')
  expect(backedOff.phase).toBe('Scheduled')
  await expect.poll(() => tries).toBeGreaterThan(3)
})

test('a removal ends a pull that is under way', async () => {
  const aborted = Promise.withResolvers<void>()
  const ensure = async (_image: string, { signal }: { signal?: AbortSignal } = {}): Promise<never> => {
    await once(signal ?? new EventTarget(), 'abort')
    aborted.resolve()
    throw signal?.reason
  }
  await reopen({ images: { ...noImages, ensure } })
  const vmi = fakeVmi('pulls', {
    ...withImage,
    domain: { devices: { disks: [{ name: 'root', disk: { bus: 'virtio' } }] } },
  })
  await worker.sync(requestFor(vmi))
  await watch.report(vmi.metadata.uid, ({ message }) => message?.startsWith('waiting to pull') ?? false)
  await worker.remove(refOf(vmi), { graceSeconds: 1000 })
  await aborted.promise
  await watch.removed(vmi.metadata.uid, 2000)
  expect(watch.reports(vmi.metadata.uid).at(-1)).toMatchObject({ phase: 'Failed', reason: 'Stopped' })
})

test('a guest that was being prepared when its worker ended waits to be told again', async () => {
  const ensure = async (_image: string, { signal }: { signal?: AbortSignal } = {}): Promise<never> => {
    await once(signal ?? new EventTarget(), 'abort')
    throw signal?.reason
  }
  await reopen({ images: { ...noImages, ensure } })
  const vmi = fakeVmi('pulls', {
    ...withImage,
    domain: { devices: { disks: [{ name: 'root', disk: { bus: 'virtio' } }] } },
  })
  await worker.sync(requestFor(vmi))
  await reopen({})
  await watch.report(vmi.metadata.uid, ({ message }) => /told again/.test(message ?? ''))
  const { spec } = fakeVmi('plain')
  await worker.sync(requestFor({ ...vmi, spec }))
  const running = await watch.report(vmi.metadata.uid, ({ phase }) => phase === 'Running')
  expect(running.message).toBeUndefined()
})
