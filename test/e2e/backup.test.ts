import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { nodeNamesOf } from '../../src/qemu/argv/block-nodes.ts'
import { connectQmp } from '../../src/qemu/qmp/client.ts'
import type { BackupOptions, GuestRef } from '../../src/rpc/actions.ts'
import type { Worker } from '../../src/worker/worker.ts'
import { agentImages, agentVmi } from '../helpers/agent-guest.ts'
import { requireQemu } from '../helpers/guest.ts'
import {
  makeHome,
  openTestWorker,
  pidOf,
  refOf,
  removeAll,
  requestFor,
  Screen,
  TYPING,
  type WorkerHome,
  WorkerWatch,
} from '../helpers/worker.ts'

requireQemu()('backups of a real guest', () => {
  let home: WorkerHome
  let worker: Worker
  let watch: WorkerWatch
  let guest: GuestRef
  let screen: Screen
  const target = () => join(home.root, 'backups')
  const image = (name: string) => join(target(), name, 'data.qcow2')

  async function open(): Promise<void> {
    worker = await openTestWorker(home, { images: await agentImages(home), backupDirs: [target()] })
    watch = new WorkerWatch(worker)
  }

  beforeAll(async () => {
    home = await makeHome()
    mkdirSync(target(), { mode: 0o711 })
    await open()
    const vmi = agentVmi('kept', { data: true })
    guest = refOf(vmi)
    await worker.sync(requestFor(vmi))
    await watch.report(guest.uid, ({ conditions }) =>
      conditions.some(({ type }) => type === 'AgentConnected'),
    )
    screen = new Screen(await worker.console(guest, TYPING))
    screen.type('')
    await screen.shows(/:\/root# /)
  }, 120_000)

  afterAll(async () => {
    screen?.stream.destroy()
    await watch?.[Symbol.asyncDispose]()
    if (worker) await removeAll(worker)
    await worker?.[Symbol.asyncDispose]()
    await home?.[Symbol.asyncDispose]()
  })

  const push = (backupName: string, more: BackupOptions = {}) =>
    worker.backup(guest, { backupName, mode: 'Push', targetPath: target(), ...more })
  const ended = (name: string) =>
    watch.report(guest.uid, ({ status }) => {
      const backup = status.changedBlockTracking?.backupStatus
      return backup?.backupName === name && backup.completed === true
    })

  async function write(word: string): Promise<void> {
    screen.type(`echo ${word}-$((40+2)) >/data/${word}; sync; echo wrote-${word}-$((1+1))`)
    await screen.shows(new RegExp(`wrote-${word}-2`))
  }

  /** What the disk held, as one raw image. */
  function contentOf(name: string): string {
    const raw = join(home.root, `${name}.raw`)
    execFileSync('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', image(name), raw])
    return readFileSync(raw, 'latin1')
  }

  /**
   * Whether the file system on it was frozen: the kernel takes back "needs recovery" then, which stands in the super
   * block while it is mounted. Source: ext4's `s_feature_incompat`, at 0x60 of the super block.
   */
  function isAtRest(name: string): boolean {
    const bytes = Buffer.from(contentOf(name), 'latin1')
    expect(bytes.readUInt16LE(1024 + 0x38)).toBe(0xef53)
    return (bytes.readUInt32LE(1024 + 0x60) & 4) === 0
  }

  /** How often it was told that the guest's file systems stand still. */
  const frozenReports = () =>
    watch.reports(guest.uid).filter(({ status }) => status.fsFreezeStatus === 'frozen').length

  test('a full one holds the disk as it was, with its file systems at rest', async () => {
    await write('first')
    await push('full')
    const { status, events } = await ended('full')
    expect(status.changedBlockTracking).toMatchObject({
      state: 'Enabled',
      backupStatus: {
        failed: false,
        checkpointName: 'full',
        volumes: [{ volumeName: 'data', diskTarget: 'vda' }],
      },
    })
    expect(events.map(({ reason }) => reason)).toContain('BackupCompleted')
    await write('second')
    expect(contentOf('full')).toContain('first-42')
    expect(contentOf('full')).not.toContain('second-42')
    expect(statSync(image('full')).uid).toBe(process.getuid?.())
    expect(isAtRest('full')).toBe(true)
    expect(frozenReports()).toBeGreaterThan(0)
    expect((await worker.report(guest)).status.fsFreezeStatus).toBeUndefined()
  }, 60_000)

  test('one that may not freeze the guest holds file systems in the middle of their work', async () => {
    const before = frozenReports()
    await push('rough', { skipQuiesce: true })
    await ended('rough')
    expect(isAtRest('rough')).toBe(false)
    expect(frozenReports()).toBe(before)
  }, 60_000)

  test.each(['Push', 'Pull'] as const)(
    'a guest that was frozen for a %s backup that then fails goes on, and nothing is left of it',
    async (mode) => {
      const before = frozenReports()
      const client = await connectQmp(join(home.runDir, guest.uid, 'qmp-aux.sock'))
      try {
        const node = nodeNamesOf('data').format
        const bitmap = { node, name: 'doomed' }
        // QEMU then refuses to begin, which it is asked to only once the guest is frozen.
        await client.execute('block-dirty-bitmap-add', bitmap)
        await expect(push('doomed', { mode })).rejects.toMatchObject({
          code: 409,
          message: expect.stringContaining('doomed'),
        })
        await client.execute('block-dirty-bitmap-remove', bitmap)
        expect(await client.execute('query-block-exports')).toEqual([])
        expect(await client.execute('query-jobs')).toEqual([])
      } finally {
        await client.close()
      }
      expect(frozenReports()).toBeGreaterThan(before)
      const { status, events } = await worker.report(guest)
      expect(status.fsFreezeStatus).toBeUndefined()
      expect(status.changedBlockTracking?.backupStatus?.backupName).not.toBe('doomed')
      expect(events.at(-1)).toMatchObject({ type: 'Warning', reason: 'BackupError' })
      expect(existsSync(join(target(), 'doomed'))).toBe(false)
      await write(`thawed-${mode}`)
    },
    60_000,
  )

  test('one after it holds what has changed, and with it the whole', async () => {
    await push('next', { incremental: 'full' })
    await ended('next')
    expect(contentOf('next')).toContain('first-42')
    expect(contentOf('next')).toContain('second-42')
    expect(statSync(image('next')).size).toBeLessThan(statSync(image('full')).size)
    const { backing } = {
      backing: JSON.parse(String(execFileSync('qemu-img', ['info', '--output=json', image('next')]))),
    }
    expect(backing['backing-filename']).toBe(image('full'))
  }, 60_000)

  test('an older checkpoint can be continued from as well', async () => {
    await write('third')
    await push('wide', { incremental: 'full' })
    await ended('wide')
    for (const word of ['first', 'second', 'third']) expect(contentOf('wide')).toContain(`${word}-42`)
  }, 60_000)

  test('asked for again by its name it is the same one', async () => {
    await push('wide', { incremental: 'full' })
    const { status } = await worker.report(guest)
    expect(status.changedBlockTracking?.backupStatus).toMatchObject({ backupName: 'wide', completed: true })
  })

  test('checkpoints last over a restart of the worker, as QEMU goes on', async () => {
    screen.stream.destroy()
    await watch[Symbol.asyncDispose]()
    await worker[Symbol.asyncDispose]()
    await open()
    await worker.redefineCheckpoint(guest, {
      name: 'next',
      volumes: [{ volumeName: 'data', diskTarget: 'vda' }],
    })
    await expect(worker.redefineCheckpoint(guest, { name: 'never' })).rejects.toMatchObject({ code: 422 })
    await expect(
      worker.redefineCheckpoint(guest, { name: 'next', volumes: [{ volumeName: 'other' }] }),
    ).rejects.toMatchObject({ code: 422 })
    await push('after', { incremental: 'wide' })
    await ended('after')
    expect(contentOf('after')).toContain('third-42')
  }, 60_000)

  test.each<[string, BackupOptions]>([
    ['no name', { targetPath: '/tmp' }],
    ['a name that leads elsewhere', { backupName: '../x' }],
    ['another directory', { backupName: 'bad', targetPath: '/etc' }],
    ['one beside the allowed', { backupName: 'bad', targetPath: '/tmp/../etc' }],
    ['an unknown checkpoint', { backupName: 'bad', incremental: 'never' }],
    ['pull mode below another directory', { backupName: 'bad', mode: 'Pull', targetPath: '/etc' }],
    ['pull mode after no checkpoint', { backupName: 'bad', mode: 'Pull', incremental: 'never' }],
    ['an export', { backupName: 'bad', cmd: 'Export' }],
    ['a name that is taken', { backupName: 'full' }],
  ])('%s is refused with 400', async (_what, options) => {
    await expect(worker.backup(guest, { targetPath: target(), ...options })).rejects.toMatchObject({
      code: 400,
    })
  })

  test('a directory behind a link is refused', async () => {
    symlinkSync('/tmp', join(target(), 'link'))
    await expect(push('bad', { targetPath: join(target(), 'link') })).rejects.toMatchObject({ code: 400 })
  })

  test('a guest that ends takes a backup that runs with it, and nothing stays behind', async () => {
    process.kill(pidOf(home, guest.uid) ?? 0, 'SIGSTOP')
    process.kill(pidOf(home, guest.uid) ?? 0, 'SIGCONT')
    await push('last')
    await worker.remove(guest, { graceSeconds: 0 })
    await watch.removed(guest.uid)
    const reports = watch.reports(guest.uid)
    expect(reports.at(-1)?.status.changedBlockTracking?.backupStatus?.completed).toBe(true)
  }, 30_000)
})
