import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Vmi } from '../../src/kinds/kubevirt.ts'
import type { IncomingRequest, MigrationReport, OutgoingRequest } from '../../src/rpc/actions.ts'
import { requireQemu } from '../helpers/guest.ts'
import { countingVmi, countsIn, makeMigrationTls, printed, QUICK } from '../helpers/migration.ts'
import { RemoteWorker, WorkerKilled } from '../helpers/remote-worker.ts'
import { gapIn } from '../helpers/two-nodes.ts'
import {
  guestImages,
  makeHome,
  openTestWorker,
  refOf,
  removeAll,
  requestFor,
  type WorkerHome,
} from '../helpers/worker.ts'

const ROUNDS = Number(process.env.VIRTGATE_KILL_ROUNDS ?? 4)
/** Within that time after the guest has begun to move one of the workers is killed. */
const SPREAD_MS = 3_500

interface Side {
  home: WorkerHome
  worker: RemoteWorker
}

/** QEMUs of a guest, by what they were started with. */
function qemusOf({ metadata }: Vmi): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`guest=default_${metadata.name},`)
      } catch {
        return false
      }
    })
    .map(Number)
}

/** A call again and again, as a controller does, until the worker is there and has answered. */
async function insist<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call()
    } catch (error) {
      if (!(error instanceof WorkerKilled)) throw error
      await sleep(50)
    }
  }
}

requireQemu()('workers are killed while a guest moves', () => {
  let sides: [Side, Side]

  beforeAll(async () => {
    const open = async (name: string): Promise<Side> => {
      const home = await makeHome()
      await guestImages(home)
      const worker = new RemoteWorker(home.root, name)
      await worker.start()
      return { home, worker }
    }
    sides = [await open('node-a'), await open('node-b')]
  })
  afterAll(async () => {
    for (const { home, worker } of sides) {
      await worker.kill()
      const last = await openTestWorker(home)
      await removeAll(last)
      await last[Symbol.asyncDispose]()
      await home[Symbol.asyncDispose]()
    }
  })

  test(
    `${ROUNDS} rounds: one guest each time, and no number is lost or printed twice`,
    { timeout: 600_000 },
    async () => {
      const vmi = countingVmi(`victim-${randomUUID().slice(0, 8)}`)
      const guest = refOf(vmi)
      let [from, to] = sides
      let text = ''
      await from.worker.calls.sync(requestFor(vmi))
      const counts = async ({ home }: Side): Promise<void> => {
        const before = countsIn(printed(home, vmi)).length
        const now = () => countsIn(printed(home, vmi)).length
        await expect.poll(now, { timeout: 60_000, interval: 50 }).toBeGreaterThan(before + 2)
      }
      await counts(from)
      const outcomes: string[] = []
      for (let round = 0; round < ROUNDS; round += 1) {
        const epoch = 1 + 2 * round
        const migrationUid = randomUUID()
        const ref = { guest, migrationUid }
        const tls = await makeMigrationTls(migrationUid)
        const facts = await from.worker.calls.migrationFacts(ref)
        const incoming: IncomingRequest = {
          ...ref,
          sync: requestFor(vmi, { epoch: epoch + 1 }),
          facts,
          tls: tls.target,
        }
        const target = await to.worker.calls.prepareIncoming(incoming)
        const options = { ...QUICK, bandwidthBytes: 24 * 1024 * 1024 }
        const outgoing: OutgoingRequest = { ...ref, epoch, target, options, tls: tls.source }
        const victim = round % 2 === 0 ? from : to
        const delayMs = Math.round(Math.random() * SPREAD_MS)
        const killing = (async () => {
          await sleep(delayMs)
          await victim.worker.kill()
          await victim.worker.start()
        })()
        await insist(() => from.worker.calls.startOutgoing(outgoing)).catch((error: { code?: number }) => {
          // It was written down, and is over already.
          if (error.code !== 409) throw error
        })
        await killing
        const said = async ({ worker }: Side): Promise<MigrationReport | undefined> => {
          const report = await insist(() => worker.calls.report(guest))
          return report.migration?.migrationUid === migrationUid ? report.migration : undefined
        }
        const end = await expect
          .poll(
            async () => {
              const [source, arrived] = [await said(from), await said(to)]
              if (arrived?.phase === 'done' && source?.phase === 'handedOver') return 'moved'
              return source?.phase === 'failed' ? 'stayed' : 'moving'
            },
            { timeout: 60_000, interval: 100 },
          )
          .not.toBe('moving')
          .then(async () => ((await said(from))?.phase === 'failed' ? 'stayed' : 'moved'))
        outcomes.push(`${victim === from ? 'source' : 'target'} at ${delayMs} ms: ${end}`)
        if (end === 'moved') {
          text += printed(from.home, vmi)
          await from.worker.calls.releaseMigration(ref, epoch + 1)
          ;[from, to] = [to, from]
        } else {
          await to.worker.calls.cancelMigration(ref)
        }
        await expect.poll(() => qemusOf(vmi), { timeout: 30_000, interval: 100 }).toHaveLength(1)
        const isGone = () => to.worker.calls.report(guest).catch((error: { code?: number }) => error.code)
        await expect.poll(isGone, { timeout: 30_000 }).toBe(404)
        await counts(from)
        // What an old controller says is refused afterwards.
        await from.worker.calls.sync(requestFor(vmi, { epoch: epoch + 2 }))
      }
      process.stderr.write(`killed: ${outcomes.join('; ')}\n`)
      expect(gapIn(text + printed(from.home, vmi))).toBeUndefined()
    },
  )
})
