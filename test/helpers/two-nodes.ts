import { setTimeout as sleep } from 'node:timers/promises'
import type { Vmi } from '../../src/kinds/kubevirt.ts'
import type { SyncRequest } from '../../src/rpc/actions.ts'
import type { Worker, WorkerOptions } from '../../src/worker/worker.ts'
import { countsIn, type Journey, printed } from './migration.ts'
import {
  guestImages,
  makeHome,
  openTestWorker,
  refOf,
  removeAll,
  requestFor,
  type WorkerHome,
  WorkerWatch,
} from './worker.ts'

/** A worker that can be closed and opened again on the same directories. */
export class TestNode implements AsyncDisposable {
  readonly name: string
  readonly home: WorkerHome
  readonly #more: Partial<WorkerOptions>
  #worker: Worker | undefined

  private constructor(name: string, home: WorkerHome, more: Partial<WorkerOptions>) {
    this.name = name
    this.home = home
    this.#more = more
  }

  static async open(name: string, more: Partial<WorkerOptions> = {}): Promise<TestNode> {
    const node = new TestNode(name, await makeHome(), more)
    await node.open()
    return node
  }

  get worker(): Worker {
    if (!this.#worker) throw new Error(`the worker of ${this.name} is closed`)
    return this.#worker
  }

  async open(): Promise<void> {
    const images = await guestImages(this.home)
    this.#worker = await openTestWorker(this.home, { nodeName: this.name, images, ...this.#more })
  }

  /** Its guests go on. */
  async close(): Promise<void> {
    await this.#worker?.[Symbol.asyncDispose]()
    this.#worker = undefined
  }

  /** Ends all guests. */
  async clear(): Promise<void> {
    if (!this.#worker) await this.open()
    await removeAll(this.worker)
  }

  /** Starts a guest and waits until it has counted a little. */
  async boot(vmi: Vmi, more: Partial<SyncRequest> = {}): Promise<void> {
    await using watch = new WorkerWatch(this.worker)
    await this.worker.sync(requestFor(vmi, more))
    await watch.report(vmi.metadata.uid, ({ phase }) => phase === 'Running')
    await this.counts(vmi, 3)
  }

  /** Waits until the guest has counted so much further here. */
  async counts(vmi: Vmi, more: number): Promise<void> {
    const count = () => countsIn(printed(this.home, vmi)).length
    const wanted = count() + more
    await until(`the guest counts to ${wanted} on ${this.name}`, () => count() >= wanted)
  }

  /** The guest has arrived elsewhere: what is left of it here goes. Answers what it has printed here. */
  async release({ uid, vmi, epoch }: Journey): Promise<string> {
    const text = printed(this.home, vmi)
    await using watch = new WorkerWatch(this.worker)
    await this.worker.releaseMigration({ guest: refOf(vmi), migrationUid: uid }, epoch + 1)
    await watch.removed(vmi.metadata.uid)
    return text
  }

  /** Waits until nothing is left of the guest here. */
  async forgets(vmi: Vmi): Promise<void> {
    await until(`${this.name} forgets the guest`, async () => {
      const code = await this.worker.report(refOf(vmi)).catch((error: { code?: number }) => error.code)
      return code === 404
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.clear()
    await this.close()
    await this.home[Symbol.asyncDispose]()
  }
}

/** Nodes whose QEMUs are root's, who may handle page faults everywhere and dials no other host than this one. */
export const AS_ROOT: Partial<WorkerOptions> = { user: { uid: 0, gid: 0 } }

/** Two nodes of this machine that are set up alike: guests move from the one to the other. */
export class TwoNodes implements AsyncDisposable {
  readonly a: TestNode
  readonly b: TestNode

  private constructor(a: TestNode, b: TestNode) {
    this.a = a
    this.b = b
  }

  static async open(more: Partial<WorkerOptions> = {}): Promise<TwoNodes> {
    await using stack = new AsyncDisposableStack()
    const a = stack.use(await TestNode.open('node-a', more))
    const b = await TestNode.open('node-b', more)
    stack.move()
    return new TwoNodes(a, b)
  }

  /** Ends all guests of both. */
  async clear(): Promise<void> {
    await this.a.clear()
    await this.b.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.a[Symbol.asyncDispose]()
    await this.b[Symbol.asyncDispose]()
  }
}

const LIMIT_MS = 60_000
const PAUSE_MS = 50

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = Date.now() + LIMIT_MS
  while (!(await holds())) {
    if (Date.now() > endMs) throw new Error(`not within ${LIMIT_MS} ms: ${what}`)
    await sleep(PAUSE_MS)
  }
}

/** What was printed where numbers do not follow each other from 1 on; `undefined` where they all do. */
export function gapIn(text: string): string | undefined {
  const gap = countsIn(text).findIndex((number, index) => number !== index + 1)
  if (gap < 0) return undefined
  const at = text.indexOf(`count ${gap}`)
  return `after ${gap}: ${JSON.stringify(text.slice(Math.max(0, at), at + 120))}`
}
