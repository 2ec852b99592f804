import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Vmi } from '../../src/kinds/kubevirt.ts'
import type { Probe } from '../../src/worker/probes/handler.ts'
import type { Worker } from '../../src/worker/worker.ts'
import { requireQemu } from '../helpers/guest.ts'
import {
  guestVmi,
  refOf,
  requestFor,
  Screen,
  TYPING,
  type WorkerWatch,
  openRealWorker,
  type RealWorker,
} from '../helpers/worker.ts'

/** Whatever a real guest does within is not late: it is emulated, and the machine may be busy. */
const PATIENCE = { periodSeconds: 1, timeoutSeconds: 10 }

/** The guest serves a page at port 80, until its console says otherwise. */
requireQemu()('probes of the ports of a real guest', () => {
  let real: RealWorker | undefined
  let worker: Worker
  let watch: WorkerWatch

  beforeAll(async () => {
    real = await openRealWorker()
    ;({ worker, watch } = real)
  }, 120_000)
  afterAll(() => real?.[Symbol.asyncDispose]())

  /** A guest whose port 80 is called `web`. */
  function webVmi(name: string, probes: { livenessProbe?: Probe; readinessProbe?: Probe }): Vmi {
    const ports = [{ name: 'web', port: 80 }]
    const interfaces = [{ name: 'default', masquerade: {}, ports }]
    return guestVmi(name, { ...probes, domain: { devices: { interfaces } } })
  }

  async function boot(vmi: Vmi): Promise<Screen> {
    await worker.sync(requestFor(vmi))
    await watch.report(vmi.metadata.uid, ({ phase }) => phase === 'Running')
    return new Screen(await worker.console(refOf(vmi), TYPING))
  }

  test('a guest is ready for as long as it answers with its page', async () => {
    const httpGet = { port: 'web', path: '/', httpHeaders: [{ name: 'X-From', value: 'probe' }] }
    const vmi = webVmi('page', { readinessProbe: { ...PATIENCE, httpGet, failureThreshold: 2 } })
    const { uid } = vmi.metadata
    const last = () => watch.reports(uid).at(-1)
    const becomes = async (words: string) => {
      await expect.poll(() => last()?.unready ?? 'ready', { timeout: 60_000 }).toContain(words)
    }
    const screen = await boot(vmi)
    await screen.shows(/GUEST-READY/)
    await becomes('ready')
    expect(watch.reports(uid).map((report) => report.unready)).toContain(
      'its readiness probe has not succeeded yet',
    )
    screen.type('killall httpd; echo gone-$((1+1))')
    await screen.shows(/gone-2/)
    await becomes('the guest refuses connections to TCP port 80')
    expect(last()?.events.at(-1)).toMatchObject({ type: 'Warning', reason: 'Unhealthy' })
    // It answers, and has no such page.
    screen.type('httpd -p 80 -h /run; echo back-$((2+2))')
    await screen.shows(/back-4/)
    await becomes('answered with 404')
    screen.type('killall httpd; httpd -p 80 -h /run/www; echo well-$((3+3))')
    await screen.shows(/well-6/)
    await becomes('ready')
    screen.stream.destroy()
  }, 180_000)

  test('a guest whose port is closed is dead', async () => {
    // The package's types have no port.
    const tcpSocket: object = { port: 80 }
    const livenessProbe: Probe = { ...PATIENCE, tcpSocket, failureThreshold: 3 }
    const vmi = webVmi('port', { livenessProbe: { ...livenessProbe, failureThreshold: 60 } })
    const { uid } = vmi.metadata
    const screen = await boot(vmi)
    await screen.shows(/GUEST-READY/)
    // From now on it listens, and is given less time.
    vmi.spec.livenessProbe = livenessProbe
    await worker.sync(requestFor(vmi))
    screen.type('killall httpd; echo gone-$((1+1))')
    const { message, reason } = await watch.report(uid, ({ phase }) => phase === 'Failed')
    expect([reason, message]).toEqual([
      'LivenessProbeFailed',
      expect.stringContaining('the guest refuses connections to TCP port 80'),
    ])
  }, 180_000)
})
