import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { KeyPair } from '../../certs/issue.ts'
import { connectQmp } from '../../src/qemu/qmp/client.ts'
import type { BackupOptions, GuestRef } from '../../src/rpc/actions.ts'
import type { Worker } from '../../src/worker/worker.ts'
import { agentImages, agentVmi } from '../helpers/agent-guest.ts'
import { ExportServer } from '../helpers/export-server.ts'
import { requireQemu } from '../helpers/guest.ts'
import { makeAuthority, type TestAuthority } from '../helpers/pki.ts'
import {
  makeHome,
  openTestWorker,
  refOf,
  removeAll,
  requestFor,
  Screen,
  TYPING,
  type WorkerHome,
  WorkerWatch,
} from '../helpers/worker.ts'

const run = promisify(execFile)
const KIB = 1024
const MIB = 1024 * KIB
const LONG = 60_000

requireQemu()('backups of a real guest that others read', () => {
  let home: WorkerHome
  let worker: Worker
  let watch: WorkerWatch
  let guest: GuestRef
  let screen: Screen
  let authority: TestAuthority
  let pair: KeyPair
  let server: ExportServer
  const socket = () => join(home.runDir, guest.uid, 'backup.sock')
  const relay = () => join(home.root, 'export.sock')

  async function open(): Promise<void> {
    const backupDirs = [join(home.root, 'backups')]
    worker = await openTestWorker(home, { images: await agentImages(home), backupDirs })
    watch = new WorkerWatch(worker)
  }

  beforeAll(async () => {
    home = await makeHome()
    mkdirSync(join(home.root, 'backups'), { mode: 0o711 })
    authority = await makeAuthority()
    pair = await authority.issue({ usage: 'client', commonName: 'backup' })
    server = await ExportServer.open(
      await authority.issue({ usage: 'server', dnsNames: ['export.test'] }),
      authority.cert,
      relay(),
    )
    await open()
    const vmi = agentVmi('pulled', { data: true })
    guest = refOf(vmi)
    await worker.sync(requestFor(vmi))
    await watch.report(guest.uid, ({ conditions }) =>
      conditions.some(({ type }) => type === 'AgentConnected'),
    )
    screen = new Screen(await worker.console(guest, TYPING))
    screen.type('')
    await screen.shows(/:\/root# /)
    await shell('umount /data')
  }, 120_000)

  afterAll(async () => {
    screen?.stream.destroy()
    await server?.[Symbol.asyncDispose]()
    await watch?.[Symbol.asyncDispose]()
    if (worker) await removeAll(worker)
    await worker?.[Symbol.asyncDispose]()
    await home?.[Symbol.asyncDispose]()
  })

  let commands = 0
  /** Runs a command in the guest; answers what it has said. */
  async function shell(command: string): Promise<string> {
    commands += 1
    const from = screen.text.length
    screen.type(`${command}; echo done-${commands}-$((40+2))`)
    const mark = `done-${commands}-42`
    await screen.shows(new RegExp(mark))
    return screen.text.slice(from, screen.text.indexOf(mark))
  }

  /** Fills a part of the guest's disk with what was never there. */
  const scribble = (offsetKiB: number, kib: number) =>
    shell(
      `dd if=/dev/urandom of=/dev/vda bs=1k seek=${offsetKiB} count=${kib} conv=notrunc,fsync 2>/dev/null`,
    )

  async function shaInGuest(): Promise<string> {
    const said = await shell('sync; sha256sum /dev/vda')
    return /([0-9a-f]{64})/.exec(said)?.[1] ?? `nothing in ${said}`
  }

  const pull = (backupName: string, more: BackupOptions = {}) =>
    worker.backup(guest, { backupName, cmd: 'Start', mode: 'Pull', ...more })
  const statusOf = async () => (await worker.report(guest)).status.changedBlockTracking?.backupStatus
  const exported = (more: BackupOptions = {}) =>
    worker.backup(guest, {
      cmd: 'Export',
      exportServerAddr: server.address,
      exportServerName: 'export.test',
      backupCert: pair.cert,
      backupKey: pair.key,
      caCert: authority.cert,
      ...more,
    })

  async function end(name: string) {
    await worker.backup(guest, { cmd: 'Abort', backupName: name })
    const report = await watch.report(guest.uid, ({ status }) => {
      const backup = status.changedBlockTracking?.backupStatus
      return backup?.backupName === name && backup.completed === true
    })
    return report.status.changedBlockTracking?.backupStatus
  }

  /** SHA-256 of what is read at that NBD URI. */
  async function shaAt(uri: string): Promise<string> {
    const raw = join(home.root, 'read.raw')
    await run('qemu-img', ['convert', '-f', 'raw', '-O', 'raw', uri, raw])
    return createHash('sha256')
      .update(await readFile(raw))
      .digest('hex')
  }

  /** Extents that a dirty bitmap names, read through NBD: `qemu-img` shows them as holes. */
  async function changedAt(path: string, bitmap: string): Promise<{ start: number; length: number }[]> {
    const options = `driver=nbd,server.type=unix,server.path=${path},export=data`
    const context = `x-dirty-bitmap=qemu:dirty-bitmap:${bitmap}`
    const { stdout } = await run('qemu-img', [
      'map',
      '--output=json',
      '--image-opts',
      `${options},${context}`,
    ])
    const extents = JSON.parse(stdout) as { start: number; length: number; data: boolean }[]
    return extents.filter(({ data }) => !data).map(({ start, length }) => ({ start, length }))
  }

  /** What QEMU has of backups. */
  async function leftovers() {
    await using qmp = await monitor()
    const jobs = await qmp.client.execute<object[]>('query-jobs')
    const exports = await qmp.client.execute<object[]>('query-block-exports')
    const nodes = await qmp.client.execute<{ 'node-name': string; 'dirty-bitmaps'?: { name: string }[] }[]>(
      'query-named-block-nodes',
      { flat: true },
    )
    return {
      jobs: jobs.length,
      exports: exports.length,
      targets: nodes.filter((node) => node['node-name'].endsWith('-target')).length,
      bitmaps: nodes.flatMap((node) => node['dirty-bitmaps'] ?? []).map(({ name }) => name),
      files: readdirSync(join(home.stateDir, guest.uid, 'disks')).filter((file) =>
        file.startsWith('backup-'),
      ),
      socket: existsSync(socket()),
    }
  }

  async function monitor() {
    const client = await connectQmp(join(home.runDir, guest.uid, 'qmp-aux.sock'))
    return { client, [Symbol.asyncDispose]: () => client.close() }
  }

  test(
    'what is read is the disk as it was at the start, byte for byte, while the guest goes on writing',
    async () => {
      const before = await shaInGuest()
      await pull('p1')
      expect(await statusOf()).toMatchObject({
        completed: false,
        volumes: [
          { volumeName: 'data', diskTarget: 'vda', dataEndpoint: expect.stringMatching(/^nbd\+unix:/) },
        ],
      })
      screen.type('i=0; while [ ! -e /halt ]; do dd if=/dev/urandom of=/dev/vda bs=64k seek=$i count=1 \\')
      screen.type('conv=notrunc,fsync 2>/dev/null; i=$(((i+7)%1024)); done & sleep 1')
      const { dataEndpoint } = (await statusOf())?.volumes?.[0] ?? {}
      expect(await shaAt(String(dataEndpoint))).toBe(before)
      await shell('sleep 1')
      expect(await shaAt(String(dataEndpoint))).toBe(before)
      await shell('touch /halt; wait')
      expect(await shaInGuest()).not.toBe(before)
      expect(await shaAt(String(dataEndpoint))).toBe(before)
    },
    LONG,
  )

  test('while it runs there is no other one, no push, no migration', async () => {
    await expect(pull('other')).rejects.toMatchObject({ code: 409, message: expect.stringContaining('p1') })
    await expect(worker.backup(guest, { backupName: 'other', targetPath: '/x' })).rejects.toMatchObject({
      code: 409,
    })
    await expect(worker.migrationFacts({ guest, migrationUid: 'm1' })).rejects.toMatchObject({
      code: 409,
      message: expect.stringContaining('backup'),
    })
    await pull('p1')
  })

  test('ended, it is a checkpoint, and nothing else is left of it', async () => {
    expect(await end('p1')).toMatchObject({ completed: true, failed: false, checkpointName: 'p1' })
    expect(await leftovers()).toEqual({
      jobs: 0,
      exports: 0,
      targets: 0,
      bitmaps: ['p1'],
      files: [],
      socket: false,
    })
  })

  test(
    'one after it says which parts have changed in between, exactly',
    async () => {
      await pull('p2')
      await end('p2')
      await scribble(10 * KIB, 64)
      await scribble(20 * KIB, 128)
      const before = await shaInGuest()
      await pull('p3', { incremental: 'p2' })
      await scribble(30 * KIB, 64)
      const { dataEndpoint, mapEndpoint } = (await statusOf())?.volumes?.[0] ?? {}
      expect(mapEndpoint).toMatch(/#qemu:dirty-bitmap:since_p2$/)
      expect(await changedAt(socket(), 'since_p2')).toEqual([
        { start: 10 * MIB, length: 64 * KIB },
        { start: 20 * MIB, length: 128 * KIB },
      ])
      expect(await shaAt(String(dataEndpoint))).toBe(before)
      await end('p3')
      await pull('p4', { incremental: 'p3' })
      expect(await changedAt(socket(), 'since_p3')).toEqual([{ start: 30 * MIB, length: 64 * KIB }])
      await end('p4')
    },
    LONG,
  )

  test(
    'an export server reads it over TLS, also past the time that QEMU gives those who say nothing',
    async () => {
      const before = await shaInGuest()
      await pull('p5', { incremental: 'p4' })
      await exported()
      await exported({ backupName: 'p5' })
      await new Promise((resolve) => setTimeout(resolve, 11_000))
      const [read] = await Promise.all([
        shaAt(`nbd+unix:///data?socket=${relay()}`),
        scribble(40 * KIB, 1024),
      ])
      expect(read).toBe(before)
      expect(await changedAt(relay(), 'since_p4')).toEqual([])
      expect(new Set(server.peers)).toEqual(new Set(['CN=backup']))
    },
    LONG,
  )

  test(
    'the next worker goes on with the export, and ends it when told to',
    async () => {
      screen.stream.destroy()
      await watch[Symbol.asyncDispose]()
      await worker[Symbol.asyncDispose]()
      const before = server.peers.length
      await open()
      await expect.poll(() => server.peers.length, { timeout: 10_000 }).toBeGreaterThan(before)
      expect(await changedAt(relay(), 'since_p4')).toEqual([])
      await expect.poll(() => server.peers.length, { timeout: 10_000 }).toBeGreaterThan(before + 1)
      const connections = server.peers.length
      await end('p5')
      expect(await leftovers()).toMatchObject({ jobs: 0, exports: 0, targets: 0, files: [], socket: false })
      expect(existsSync(join(home.runDir, 'generated', guest.uid, 'backup-export.json'))).toBe(false)
      expect(server.peers.length).toBe(connections)
      screen = new Screen(await worker.console(guest, TYPING))
    },
    LONG,
  )

  test.each<[string, () => Promise<BackupOptions>, number]>([
    ['has another name', async () => ({ exportServerName: 'other.test' }), 409],
    ['is of another authority', async () => ({ caCert: (await makeAuthority()).cert }), 409],
    ['does not listen', async () => ({ exportServerAddr: '127.0.0.1:1' }), 409],
    ['has no address', async () => ({ exportServerAddr: '' }), 400],
    ['is to read another backup', async () => ({ backupName: 'p1' }), 400],
  ])('an export server that %s is refused, and the backup goes on', async (_what, more, code) => {
    const name = `p6-${code}-${commands++}`
    await pull(name)
    await expect(exported(await more())).rejects.toMatchObject({ code })
    expect(await statusOf()).toMatchObject({ backupName: name, completed: false })
    await end(name)
  })

  test('without a backup in pull mode there is nothing to export', async () => {
    await expect(exported()).rejects.toMatchObject({ code: 400 })
  })

  test('where the NBD server of QEMU is taken it does not begin, says why, and leaves nothing', async () => {
    await using qmp = await monitor()
    const path = join(home.runDir, guest.uid, 'taken.sock')
    await qmp.client.execute('nbd-server-start', { addr: { type: 'unix', data: { path } } })
    await expect(pull('p7')).rejects.toMatchObject({
      code: 409,
      message: expect.stringContaining('NBD server'),
    })
    await qmp.client.execute('nbd-server-stop')
  })

  test('its files go below a directory that is named, and are gone with it', async () => {
    const targetPath = join(home.root, 'backups')
    await pull('p8', { targetPath })
    expect(readdirSync(join(targetPath, 'p8'))).toEqual(['data.qcow2'])
    expect(await end('p8')).toMatchObject({ failed: false })
    expect(readdirSync(targetPath)).toEqual([])
  })

  test('a guest that ends takes it along', async () => {
    await pull('last', { targetPath: join(home.root, 'backups') })
    await exported()
    await worker.remove(guest, { graceSeconds: 0 })
    await watch.removed(guest.uid)
    expect(watch.reports(guest.uid).at(-1)?.status.changedBlockTracking?.backupStatus).toMatchObject({
      completed: true,
      failed: true,
    })
    expect(readdirSync(join(home.root, 'backups'))).toEqual([])
  })
})
