import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Vmi } from '../../../src/kinds/kubevirt.ts'
import type { Worker } from '../../../src/worker/worker.ts'
import { fakeVmi, openFakeWorker } from '../../helpers/fake-worker.ts'
import {
  makeHome,
  pidOf,
  refOf,
  removeAll,
  requestFor,
  type WorkerHome,
  WorkerWatch,
} from '../../helpers/worker.ts'

const SESSION = { session: 'c2Vzc2lvbg==', dhCert: 'ZGg=' }

let home: WorkerHome
let worker: Worker
let watch: WorkerWatch

async function open(accelerator: 'kvm' | 'tcg'): Promise<void> {
  worker = await openFakeWorker(home, { acceleration: { accelerator, note: 'the test says so' } })
  watch = new WorkerWatch(worker)
}

/** From now on QEMU is the one that knows SEV. */
function bringSev(): void {
  const program = fileURLToPath(new URL('../../programs/sev-machine.ts', import.meta.url))
  writeFileSync(join(home.root, 'qemu'), `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`)
}

function sevVmi(sev: object): Vmi {
  const vmi = fakeVmi('hidden', { startStrategy: 'Paused' })
  vmi.spec.domain.launchSecurity = { sev }
  return vmi
}

beforeEach(async () => {
  home = await makeHome()
})

afterEach(async () => {
  await watch[Symbol.asyncDispose]()
  await removeAll(worker)
  await worker[Symbol.asyncDispose]()
  await home[Symbol.asyncDispose]()
})

test('a guest is attested from its session to its secret', async () => {
  await open('kvm')
  bringSev()
  const vmi = sevVmi({ attestation: {}, policy: { encryptedState: true } })
  const guest = refOf(vmi)
  await worker.sync(requestFor(vmi))
  const waits = ({ conditions }: { conditions: { reason?: string }[] }) =>
    conditions.some(({ reason }) => reason === 'SEVSessionMissing')
  expect((await watch.report(guest.uid, waits)).phase).toBe('Scheduled')
  expect(await worker.sevPlatform(guest)).toEqual({ pdh: 'cGRo', certChain: 'Y2VydHM=' })
  await expect(worker.sevMeasurement(guest)).rejects.toMatchObject({ code: 409 })

  const { sev } = vmi.spec.domain.launchSecurity ?? {}
  vmi.spec.domain.launchSecurity = { sev: { ...sev, ...SESSION } }
  await worker.sync(requestFor(vmi))
  const runs = ({ phase, conditions }: { phase: string; conditions: { type: string }[] }) =>
    phase === 'Running' && conditions.some(({ type }) => type === 'Paused')
  await watch.report(guest.uid, runs)
  const argv = readFileSync(`/proc/${pidOf(home, guest.uid)}/cmdline`, 'utf8').split('\0')
  expect(argv.find((arg) => arg.includes('sev-guest'))).toContain(
    '"cbitpos":47,"reduced-phys-bits":1,"policy":5',
  )
  expect(argv[argv.indexOf('-machine') + 1]).toContain('confidential-guest-support=sev0')
  const measured = await worker.sevMeasurement(guest)
  expect(measured).toMatchObject({ apiMajor: 1, apiMinor: 55, buildID: 24, policy: 5 })
  expect(Buffer.from(String(measured['measurement']), 'base64').toString()).toBe(
    `measured ${SESSION.session}`,
  )

  await worker.sevInjectSecret(guest, { header: 'aGVhZA==', secret: 'c2VjcmV0' })
  await expect(worker.sevInjectSecret(guest, { header: 'x', secret: 'y' })).rejects.toMatchObject({
    code: 409,
  })
  await worker.unpause(guest)
})

test('a node whose processor has no SEV says so, and waits for one that has', async () => {
  await open('kvm')
  const vmi = sevVmi({})
  await worker.sync(requestFor(vmi))
  const report = await watch.report(vmi.metadata.uid, ({ conditions }) => conditions.length > 0)
  expect(report.phase).toBe('Scheduled')
  expect(report.conditions[0]).toMatchObject({ reason: 'HostResourceMissing' })
  expect(report.message).toContain('SEV cannot be used on this node')
  await expect(worker.sevPlatform(refOf(vmi))).rejects.toMatchObject({ code: 503 })
})

test('a node without KVM refuses the guest', async () => {
  await open('tcg')
  const vmi = sevVmi({})
  await worker.sync(requestFor(vmi))
  const report = await watch.report(vmi.metadata.uid, ({ phase }) => phase === 'Failed')
  expect(report).toMatchObject({ reason: 'HypervisorUnavailable' })
})

test('a guest without SEV has no measurement', async () => {
  await open('kvm')
  bringSev()
  const vmi = fakeVmi('plain', { startStrategy: 'Paused' })
  await worker.sync(requestFor(vmi))
  await watch.report(vmi.metadata.uid, ({ phase }) => phase === 'Running')
  await expect(worker.sevMeasurement(refOf(vmi))).rejects.toMatchObject({ code: 409 })
})
