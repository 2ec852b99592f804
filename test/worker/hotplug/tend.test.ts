import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Vmi } from '../../../src/kinds/kubevirt.ts'
import type { Disk, Volume } from '../../../src/kinds/volumes.ts'
import type { GuestClaim, GuestReport } from '../../../src/rpc/actions.ts'
import type { Worker } from '../../../src/worker/worker.ts'
import { fakeVmi, openFakeWorker } from '../../helpers/fake-worker.ts'
import { makeHome, removeAll, requestFor, type WorkerHome, WorkerWatch } from '../../helpers/worker.ts'

const MIB = 1024 ** 2

let home: WorkerHome
let claimsDir: string
let worker: Worker
let watch: WorkerWatch

beforeEach(async () => {
  home = await makeHome()
  claimsDir = join(home.root, 'claims')
  for (const name of ['one', 'two', 'dump'])
    await mkdir(join(claimsDir, 'default', name), { recursive: true })
  await open()
})
afterEach(async () => {
  await removeAll(worker)
  await close()
  await home[Symbol.asyncDispose]()
})

async function open(): Promise<void> {
  worker = await openFakeWorker(home, { claimsDir })
  watch = new WorkerWatch(worker)
}

async function close(): Promise<void> {
  await watch[Symbol.asyncDispose]()
  await worker[Symbol.asyncDispose]()
}

const claim = (mib: number, more: Partial<GuestClaim> = {}): GuestClaim => ({
  isBound: true,
  volumeMode: 'Filesystem',
  accessModes: ['ReadWriteOnce'],
  requestedBytes: mib * MIB,
  capacityBytes: mib * MIB,
  ...more,
})
const CLAIMS = { one: claim(1), two: claim(2), dump: claim(200) }
const plugged = (name: string, claimName: string): Volume => ({
  name,
  persistentVolumeClaim: { claimName, hotpluggable: true },
})
const scsi = (name: string): Disk => ({ name, disk: { bus: 'scsi' } })
const virtio = (name: string): Disk => ({ name, disk: { bus: 'virtio' } })
const DUMP: Volume = { name: 'dump', memoryDump: { claimName: 'dump', hotpluggable: true } }
const CD: Disk = { name: 'cd', cdrom: { bus: 'sata' } }

function withDisks(vmi: Vmi, volumes: Volume[], disks: Disk[]): Vmi {
  const next = structuredClone(vmi)
  next.spec.volumes = volumes
  next.spec.domain.devices.disks = disks
  return next
}

/** Starts a guest whose name says how it behaves. */
async function boot(name: string, volumes: Volume[] = [], disks: Disk[] = []): Promise<Vmi> {
  const vmi = withDisks(fakeVmi(name), volumes, disks)
  await worker.sync(requestFor(vmi, { claims: CLAIMS }))
  await watch.report(vmi.metadata.uid, ({ phase }) => phase === 'Running')
  return vmi
}

/** Asks for these disks. */
async function want(
  vmi: Vmi,
  volumes: Volume[],
  disks: Disk[],
  claims: Record<string, GuestClaim> = CLAIMS,
): Promise<void> {
  await worker.sync(requestFor(withDisks(vmi, volumes, disks), { claims }))
}

type Entry = NonNullable<GuestReport['status']['volumeStatus']>[number]
const entryIn = ({ status }: GuestReport, name: string): Entry | undefined =>
  status.volumeStatus?.find((entry) => entry.name === name)

/** The first report from now on in which the volume's entry is as wanted. */
async function entry(
  vmi: Vmi,
  name: string,
  matches: (entry: Entry | undefined) => boolean,
): Promise<Entry | undefined> {
  const { uid } = vmi.metadata
  const before = watch.reports(uid).length - 1
  const report = await watch.report(
    uid,
    (one) => {
      return watch.reports(uid).indexOf(one) >= before && matches(entryIn(one, name))
    },
    20_000,
  )
  return entryIn(report, name)
}
const isIn = (phase: string) => (found: Entry | undefined) => found?.phase === phase
const isGone = (found: Entry | undefined) => found === undefined
const phasesOf = (vmi: Vmi, name: string): string[] => {
  const phases = watch.reports(vmi.metadata.uid).flatMap((report) => entryIn(report, name)?.phase ?? [])
  return phases.filter((phase, index) => phase !== phases[index - 1])
}
const slotsOf = async (vmi: Vmi): Promise<Record<string, string>> =>
  JSON.parse(await readFile(join(home.stateDir, vmi.metadata.uid, 'state.json'), 'utf8')).slots

test('a disk is plugged in and out again, phase by phase, and its claim keeps its image', async () => {
  const vmi = await boot('plain')
  await want(vmi, [plugged('data', 'one')], [scsi('data')])
  expect(await entry(vmi, 'data', isIn('Ready'))).toEqual({
    name: 'data',
    target: 'sda',
    phase: 'Ready',
    hotplugVolume: {},
    persistentVolumeClaimInfo: {
      claimName: 'one',
      accessModes: ['ReadWriteOnce'],
      volumeMode: 'Filesystem',
      capacity: { storage: '1Mi' },
      requests: { storage: '1Mi' },
    },
  })
  expect(await slotsOf(vmi)).toMatchObject({ 'ua-data': 'lun0' })
  await want(vmi, [], [])
  await entry(vmi, 'data', isGone)
  expect(phasesOf(vmi, 'data')).toEqual([
    'Bound',
    'AttachedToNode',
    'MountedToPod',
    'Ready',
    'Detaching',
    'UnMountedFromPod',
  ])
  expect(await slotsOf(vmi)).not.toHaveProperty('ua-data')
  expect((await stat(join(claimsDir, 'default', 'one', 'disk.img'))).size).toBe(MIB)
})

test('each disk gets a place of its own, those on virtio a root port', async () => {
  const vmi = await boot('plain', [plugged('first', 'one')], [scsi('first')])
  await want(
    vmi,
    [plugged('first', 'one'), plugged('a', 'two'), plugged('b', 'dump')],
    [scsi('first'), scsi('a'), virtio('b')],
  )
  await entry(vmi, 'b', isIn('Ready'))
  const slots = await slotsOf(vmi)
  expect(slots).toMatchObject({ 'ua-first': 'lun0', 'ua-a': 'lun1' })
  expect(slots['ua-b']).toMatch(/^rp\d+$/)
  expect(Object.values(slots).filter((slot) => slot === slots['ua-b'])).toHaveLength(1)
  expect(entryIn(await worker.report(vmi.metadata), 'b')?.target).toBe('vda')
})

test('a guest that is started with its volumes says which of them can go', async () => {
  const vmi = await boot(
    'plain',
    [plugged('data', 'one'), { name: 'kept', persistentVolumeClaim: { claimName: 'two' } }],
    [scsi('data'), scsi('kept')],
  )
  const { status } = await worker.report(vmi.metadata)
  expect(status.volumeStatus).toMatchObject([
    { name: 'data', phase: 'Ready', hotplugVolume: {} },
    { name: 'kept' },
  ])
  expect(status.volumeStatus?.[1]).not.toHaveProperty('hotplugVolume')
  await want(vmi, [], [])
  await entry(vmi, 'data', isGone)
  expect(entryIn(await worker.report(vmi.metadata), 'kept')).toMatchObject({ target: 'sdb' })
})

test('the next worker goes on from what QEMU has', async () => {
  const vmi = await boot('plain')
  await want(vmi, [plugged('data', 'one'), plugged('more', 'two')], [scsi('data'), virtio('more')])
  await entry(vmi, 'more', isIn('Ready'))
  await close()
  await open()
  await want(vmi, [plugged('more', 'two')], [virtio('more')])
  await entry(vmi, 'data', isGone)
  expect(entryIn(await worker.report(vmi.metadata), 'more')).toMatchObject({ phase: 'Ready', target: 'vda' })
})

test('a guest that does not let go is asked again, and the disk stays until it does', async () => {
  const vmi = await boot('clings')
  await want(vmi, [plugged('data', 'one')], [scsi('data')])
  await entry(vmi, 'data', isIn('Ready'))
  await want(vmi, [], [])
  const stuck = await entry(vmi, 'data', (found) => found?.reason === 'DetachPending')
  expect(stuck).toMatchObject({ phase: 'Detaching', message: expect.stringContaining('has not let go') })
  await entry(vmi, 'data', isGone)
})

test.each<[string, Record<string, GuestClaim>, string]>([
  ['there is no claim', {}, 'no PersistentVolumeClaim "one"'],
  ['the claim is not bound', { one: claim(1, { isBound: false }) }, 'not bound yet'],
])('a volume waits while %s, and comes then', async (_why, claims, message) => {
  const vmi = await boot('plain')
  await want(vmi, [plugged('data', 'one')], [scsi('data')], claims)
  expect(await entry(vmi, 'data', (found) => found?.message !== undefined)).toMatchObject({
    phase: 'Pending',
    reason: 'StorageNotReady',
    message: expect.stringContaining(message),
  })
  await want(vmi, [plugged('data', 'one')], [scsi('data')])
  expect(await entry(vmi, 'data', isIn('Ready'))).not.toHaveProperty('message')
})

test('what QEMU refuses is told, leaves nothing behind and is tried again; other disks come', async () => {
  const vmi = await boot('crowded')
  await want(vmi, [plugged('data', 'one')], [scsi('data')])
  const found = await entry(vmi, 'data', (one) => one?.reason === 'FailedHotplugSync')
  expect(found).toMatchObject({ message: expect.stringContaining('does not support hotplugging') })
  const { events } = await worker.report(vmi.metadata)
  expect(events.filter(({ reason }) => reason === 'FailedHotplugSync')).toHaveLength(1)
  await want(vmi, [], [])
  await entry(vmi, 'data', isGone)
})

test('a block device is refused in plain words', async () => {
  const vmi = await boot('plain')
  await want(vmi, [plugged('data', 'one')], [scsi('data')], { one: claim(1, { volumeMode: 'Block' }) })
  expect(await entry(vmi, 'data', (found) => found?.message !== undefined)).toMatchObject({
    reason: 'UnsupportedDevice',
    message: expect.stringContaining('volumeMode Filesystem'),
  })
})

test('nothing is plugged while the guest is being moved', async () => {
  const vmi = await boot('moving')
  await want(vmi, [plugged('data', 'one')], [scsi('data')])
  await worker.pause(vmi.metadata)
  await watch.report(vmi.metadata.uid, ({ conditions }) => conditions.some(({ type }) => type === 'Paused'))
  expect(entryIn(await worker.report(vmi.metadata), 'data')).toBeUndefined()
})

test('a disk grows with its claim', async () => {
  const vmi = await boot('plain', [plugged('data', 'one')], [scsi('data')])
  await want(vmi, [plugged('data', 'one')], [scsi('data')], { ...CLAIMS, one: claim(3) })
  const grown = await entry(
    vmi,
    'data',
    (found) => found?.persistentVolumeClaimInfo?.capacity?.['storage'] === '3Mi',
  )
  expect(grown?.phase).toBe('Ready')
  expect((await stat(join(claimsDir, 'default', 'one', 'disk.img'))).size).toBe(3 * MIB)
})

test('a drive is given a medium, another one, and none', async () => {
  const vmi = await boot('plain', [], [CD])
  await want(vmi, [plugged('cd', 'one')], [CD])
  await entry(vmi, 'cd', (found) => found?.persistentVolumeClaimInfo?.claimName === 'one')
  await want(vmi, [plugged('cd', 'two')], [CD])
  await entry(vmi, 'cd', (found) => found?.persistentVolumeClaimInfo?.claimName === 'two')
  await want(vmi, [], [CD])
  expect(await entry(vmi, 'cd', isGone)).toBeUndefined()
})

test('the memory is dumped to the claim, the dump of before makes room, and the guest goes on', async () => {
  const folder = join(claimsDir, 'default', 'dump')
  await writeFile(join(folder, 'old.memory.dump'), 'x')
  await writeFile(join(folder, 'kept.txt'), 'x')
  const vmi = await boot('plain')
  await want(vmi, [DUMP], [])
  const done = await entry(vmi, 'dump', isIn('MemoryDumpCompleted'))
  const { targetFileName = '' } = done?.memoryDumpVolume ?? {}
  expect(targetFileName).toMatch(/^plain-dump-\d{8}-\d{6}\.memory\.dump$/)
  expect(done?.memoryDumpVolume).toMatchObject({
    claimName: 'dump',
    startTimestamp: expect.any(String),
    endTimestamp: expect.any(String),
  })
  expect((await readdir(folder)).toSorted()).toEqual(['kept.txt', targetFileName].toSorted())
  expect((await readFile(join(folder, targetFileName), 'latin1')).slice(1, 4)).toBe('ELF')
  expect(phasesOf(vmi, 'dump')).toEqual(['MountedToPod', 'MemoryDumpInProgress', 'MemoryDumpCompleted'])
  await want(vmi, [], [])
  await entry(vmi, 'dump', isGone)
})

test.each([
  ['QEMU fails', 'undumpable', CLAIMS, 'the memory cannot be read'],
  ['the claim is too small', 'plain', { dump: claim(50) }, 'needs 101 MiB'],
])('a dump that cannot be written says so: %s', async (_why, name, claims, message) => {
  const vmi = await boot(name)
  await want(vmi, [DUMP], [], claims)
  expect(await entry(vmi, 'dump', isIn('MemoryDumpFailed'))).toMatchObject({
    message: expect.stringContaining(message),
    memoryDumpVolume: { claimName: 'dump' },
  })
  expect(await readdir(join(claimsDir, 'default', 'dump'))).toEqual([])
})

test('a dump that was written down and not begun is begun by the next worker', async () => {
  const vmi = await boot('plain')
  await close()
  const file = join(home.stateDir, vmi.metadata.uid, 'state.json')
  const state = JSON.parse(await readFile(file, 'utf8'))
  const memoryDumpVolume = {
    claimName: 'dump',
    targetFileName: 'written-down.memory.dump',
    startTimestamp: 's',
  }
  state.status.volumeStatus = [
    { name: 'dump', target: '', phase: 'MemoryDumpInProgress', hotplugVolume: {}, memoryDumpVolume },
  ]
  await writeFile(file, JSON.stringify(state))
  await open()
  await want(vmi, [DUMP], [])
  await entry(vmi, 'dump', isIn('MemoryDumpCompleted'))
  expect(await readdir(join(claimsDir, 'default', 'dump'))).toEqual(['written-down.memory.dump'])
})
