import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { defaultCacheDir } from '../../src/guest/debian.ts'
import { GUEST_REFERENCE, importGuest } from '../../src/guest/guest-image.ts'
import type { Vmi, VmiSpec } from '../../src/kinds/kubevirt.ts'
import { systemClock } from '../../src/lib/clock.ts'
import type { Log } from '../../src/lib/log.ts'
import { probeQemu } from '../../src/qemu/probe.ts'
import type { GuestRef, GuestReport, NodeUpdate, SyncRequest } from '../../src/rpc/actions.ts'
import { openImageStore } from '../../src/worker/images/store.ts'
import { openWorker, type Worker, type WorkerOptions } from '../../src/worker/worker.ts'
import { guestAssets, TEST_KERNEL_ARGS } from './guest.ts'

/** Says nothing. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} }

/** How a test opens a console to type into. */
export const TYPING = { mode: 'write', preserveSession: false, user: 'tester' } as const
/** How it opens a display. */
export const WATCHING = { preserveSession: false, maxSessions: 1, user: 'tester' } as const

/** Directories of a worker that vanish with the test. */
export interface WorkerHome extends AsyncDisposable {
  root: string
  stateDir: string
  runDir: string
}

/** Makes the directories of a worker. */
export async function makeHome(): Promise<WorkerHome> {
  const root = await mkdtemp(join(tmpdir(), 'vg-'))
  // QEMU's user has to pass through.
  await chmod(root, 0o711)
  return {
    root,
    stateDir: join(root, 'state'),
    runDir: join(root, 'run'),
    async [Symbol.asyncDispose]() {
      await rm(root, { recursive: true, force: true })
    },
  }
}

/** A real worker with the real QEMU, emulating. The image store is shared by all tests on the machine. */
export async function openTestWorker(home: WorkerHome, more: Partial<WorkerOptions> = {}): Promise<Worker> {
  await mkdir(defaultCacheDir(), { recursive: true })
  const images = more.images ?? (await openImageStore({ dir: join(home.root, 'images'), log: silentLog }))
  return openWorker({
    nodeName: 'test-node',
    version: '0.0.0',
    stateDir: home.stateDir,
    runDir: home.runDir,
    qemu: await probeQemu({ cacheFile: join(defaultCacheDir(), 'test-probe.json') }),
    acceleration: { accelerator: 'tcg', note: 'tests emulate' },
    clock: systemClock,
    log: silentLog,
    ...more,
    images,
  })
}

/** An image store that has the small Linux guest. */
export async function guestImages(home: WorkerHome) {
  const store = await openImageStore({ dir: join(home.root, 'images'), log: silentLog })
  await importGuest(store, await guestAssets())
  return store
}

/** A worker that boots real guests, and what it reports. */
export interface RealWorker extends AsyncDisposable {
  home: WorkerHome
  worker: Worker
  watch: WorkerWatch
}

/** Opens a worker with the image of the small guest in its store. Its guests end with it. */
export async function openRealWorker(): Promise<RealWorker> {
  await using stack = new AsyncDisposableStack()
  const home = stack.use(await makeHome())
  const images = stack.use(await guestImages(home))
  const worker = stack.use(await openTestWorker(home, { images }))
  stack.defer(() => removeAll(worker))
  const watch = stack.use(new WorkerWatch(worker))
  const opened = stack.move()
  return { home, worker, watch, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

/** A VMI that boots the small Linux guest. */
export function guestVmi(
  name: string,
  { kernelArgs = '', ...spec }: Partial<VmiSpec> & { kernelArgs?: string } = {},
): Vmi {
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: {
      name,
      namespace: 'default',
      uid: randomUUID(),
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
    },
    spec: {
      networks: [{ name: 'default', pod: {} }],
      ...spec,
      domain: {
        memory: { guest: '192Mi' },
        firmware: {
          kernelBoot: {
            container: {
              image: GUEST_REFERENCE,
              kernelPath: '/boot/vmlinuz',
              initrdPath: '/boot/initrd.img',
            },
            kernelArgs: `${TEST_KERNEL_ARGS} virtgate.hostname=${name} ${kernelArgs}`.trim(),
          },
        },
        ...spec.domain,
        devices: { rng: {}, interfaces: [{ name: 'default', masquerade: {} }], ...spec.domain?.devices },
      },
    },
  }
}

/** The request for a VMI. */
export function requestFor(vmi: Vmi, more: Partial<SyncRequest> = {}): SyncRequest {
  return { epoch: 1, vmi, secrets: {}, configMaps: {}, config: { allowEmulation: true }, ...more }
}

/** Which guest a VMI is. */
export function refOf({ metadata: { uid, namespace, name } }: Vmi): GuestRef {
  return { uid, namespace, name }
}

/** Number of the process that runs a guest, as its worker has written it down; `undefined` where there is none. */
export function pidOf(home: Pick<WorkerHome, 'stateDir'>, uid: string): number | undefined {
  const state = JSON.parse(readFileSync(join(home.stateDir, uid, 'state.json'), 'utf8')) as {
    process?: { pid: number }
  }
  return state.process?.pid
}

/** Ends all guests of a worker. */
export async function removeAll(worker: Worker): Promise<void> {
  const stop = new AbortController()
  for await (const update of worker.watch(stop.signal)) {
    if (update.type !== 'snapshot') continue
    await using watch = new WorkerWatch(worker)
    for (const { guest } of update.guests) {
      await worker.remove(guest, { graceSeconds: 0 }).catch(() => {})
      await watch.removed(guest.uid)
    }
    return
  }
}

/** Remembers all that a worker tells. */
export class WorkerWatch implements AsyncDisposable {
  readonly updates: NodeUpdate[] = []
  readonly #stop = new AbortController()
  readonly #done: Promise<void>
  #wake = Promise.withResolvers<void>()

  constructor(worker: Pick<Worker, 'watch'>) {
    this.#done = this.#read(worker)
  }

  /** The first report that matches, of those to come and those that came. */
  async report(
    uid: string,
    matches: (report: GuestReport) => boolean,
    timeoutMs = 60_000,
  ): Promise<GuestReport> {
    return this.#first(timeoutMs, () => this.reports(uid).find(matches), `report of ${uid}`)
  }

  /** Waits until the guest is told to be gone. */
  async removed(uid: string, timeoutMs = 60_000): Promise<void> {
    const isIt = (update: NodeUpdate) => update.type === 'removed' && update.guest.uid === uid
    await this.#first(timeoutMs, () => this.updates.find(isIt), `removal of ${uid}`)
  }

  /** All reports of a guest so far. */
  reports(uid: string): GuestReport[] {
    return this.updates
      .flatMap((update) => {
        if (update.type === 'snapshot') return update.guests
        return update.type === 'report' ? [update.guest] : []
      })
      .filter(({ guest }) => guest.uid === uid)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#done
  }

  async #read(worker: Pick<Worker, 'watch'>): Promise<void> {
    for await (const update of worker.watch(this.#stop.signal)) {
      this.updates.push(update)
      this.#wake.resolve()
      this.#wake = Promise.withResolvers<void>()
    }
  }

  async #first<T>(timeoutMs: number, find: () => T | undefined, what: string): Promise<T> {
    const endMs = Date.now() + timeoutMs
    for (;;) {
      const found = find()
      if (found !== undefined) return found
      if (Date.now() > endMs)
        throw new Error(
          `no ${what} within ${timeoutMs} ms; told: ${JSON.stringify(
            this.updates.filter(({ type }) => type !== 'heartbeat'),
            undefined,
            1,
          ).slice(-4000)}`,
        )
      await Promise.race([this.#wake.promise, sleep(100)])
    }
  }
}

/** What came out of a console so far. */
export class Screen {
  text = ''
  readonly stream: Duplex
  #wake = Promise.withResolvers<void>()

  constructor(stream: Duplex) {
    this.stream = stream
    stream.on('data', (bytes: Buffer) => {
      this.text += bytes.toString('latin1')
      this.#wake.resolve()
      this.#wake = Promise.withResolvers<void>()
    })
    stream.on('error', () => {})
  }

  /** Waits until it shows that. */
  async shows(pattern: RegExp, timeoutMs = 60_000): Promise<RegExpExecArray> {
    const endMs = Date.now() + timeoutMs
    for (;;) {
      const found = pattern.exec(this.text)
      if (found) return found
      if (Date.now() > endMs)
        throw new Error(`no ${pattern} within ${timeoutMs} ms in:\n${this.text.slice(-2000)}`)
      await Promise.race([this.#wake.promise, sleep(100)])
    }
  }

  /** Types a line. */
  type(line: string): void {
    this.stream.write(`${line}\n`)
  }
}
