import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Vmi, VmiSpec } from '../../src/kinds/kubevirt.ts'
import type { ImageStore } from '../../src/worker/images/store.ts'
import type { Worker } from '../../src/worker/worker.ts'
import { requireQemu } from '../helpers/guest.ts'
import {
  guestImages,
  guestVmi,
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

const MIB = 1024 ** 2
const BASE = 'virtgate.local/base-disk:latest'
const base64 = (text: string): string => Buffer.from(text).toString('base64')

/** A VMI with these volumes, each on a virtio disk of its name. */
function withVolumes(name: string, volumes: NonNullable<VmiSpec['volumes']>): Vmi {
  const disks = volumes.map((volume) => ({ name: volume.name, disk: { bus: 'virtio' } }))
  return guestVmi(name, { volumes, domain: { devices: { disks } } })
}

requireQemu()('volumes of guests', () => {
  let home: WorkerHome
  let images: ImageStore
  let worker: Worker
  let watch: WorkerWatch
  let hostDisks: string

  beforeAll(async () => {
    home = await makeHome()
    hostDisks = join(home.root, 'host-disks')
    mkdirSync(hostDisks)
    images = await guestImages(home)
    await images.import(BASE, [{ path: '/disk/base.img', data: Buffer.alloc(8 * MIB, 'base') }])
    worker = await openTestWorker(home, { images, hostDiskPrefixes: [hostDisks] })
    watch = new WorkerWatch(worker)
  })
  afterAll(async () => {
    await watch?.[Symbol.asyncDispose]()
    if (worker) await removeAll(worker)
    await worker?.[Symbol.asyncDispose]()
    await home?.[Symbol.asyncDispose]()
  })

  test('a guest finds what its volumes hold, and what it writes to an image stays its own', async () => {
    const { file: base } = await images.disk(await images.ensure(BASE))
    const before = createHash('sha256').update(readFileSync(base)).digest('hex')
    const vmi = withVolumes('volumes', [
      { name: 'root', containerDisk: { image: BASE } },
      { name: 'empty', emptyDisk: { capacity: '20Mi' } },
      { name: 'seed', cloudInitNoCloud: { secretRef: { name: 'cloud' } } },
      { name: 'config', configMap: { name: 'settings' } },
      { name: 'secret', secret: { secretName: 'keys', volumeLabel: 'mykeys' } },
      {
        name: 'host',
        hostDisk: { path: join(hostDisks, 'made.img'), type: 'DiskOrCreate', capacity: '4Mi' },
      },
    ])
    const request = requestFor(vmi, {
      secrets: {
        cloud: { userdata: base64('#!/bin/sh\necho from-user-data') },
        keys: { 'id.key': base64('s3cret\n') },
      },
      configMaps: { settings: { 'app.conf': base64('level=9\n') } },
    })
    await worker.sync(request)
    const { status } = await watch.report(vmi.metadata.uid, ({ phase }) => phase === 'Running')
    expect(status.volumeStatus?.map(({ name, target }) => `${name}=${target}`)).toEqual([
      'root=vda',
      'empty=vdb',
      'seed=vdc',
      'config=vdd',
      'secret=vde',
      'host=vdf',
    ])
    expect(status.migrationMethod).toBe('BlockMigration')
    const screen = new Screen(await worker.console(refOf(vmi), TYPING))
    await screen.shows(/seed cidata on \/dev\/vdc/)
    await screen.shows(/from-user-data/)
    await screen.shows(/GUEST-READY/)
    screen.type('for d in vda vdb vdf; do echo size-$d=$(cat /sys/block/$d/size); done')
    await screen.shows(/size-vda=16384\b[^]*size-vdb=40960\b[^]*size-vdf=8192\b/)
    screen.type('mount -t iso9660 $(findfs LABEL=cfgdata) /mnt && cat /mnt/app.conf && umount /mnt')
    await screen.shows(/\nlevel=9/)
    screen.type('mount -t iso9660 $(findfs LABEL=mykeys) /mnt && cat /mnt/id.key && umount /mnt')
    await screen.shows(/\ns3cret/)
    screen.type(
      'head -c 4 /dev/vda; echo; for d in vda vdb vdf; do echo mine | dd of=/dev/$d conv=fsync; done; head -c 4 /dev/vda; echo; echo do""ne',
    )
    await screen.shows(/\nbase[^]*\nmine\r?\ndone/)
    await worker.remove(refOf(vmi), { graceSeconds: 60 })
    await watch.removed(vmi.metadata.uid)
    expect(watch.reports(vmi.metadata.uid).at(-1)?.phase).toBe('Succeeded')
    expect(createHash('sha256').update(readFileSync(base)).digest('hex')).toBe(before)
    expect(readFileSync(join(hostDisks, 'made.img')).subarray(0, 5).toString()).toBe('mine\n')
  })

  test('what was made from secrets is in the run directory alone, for the QEMU of the guest alone', async () => {
    const vmi = withVolumes('sealed', [{ name: 'secret', secret: { secretName: 'keys' } }])
    vmi.spec.startStrategy = 'Paused'
    const { uid } = vmi.metadata
    await worker.sync(requestFor(vmi, { secrets: { keys: { a: base64('s3cret-value') } } }))
    await watch.report(uid, ({ phase }) => phase === 'Running')
    const image = join(home.runDir, 'generated', uid, 'secret.iso')
    expect(readFileSync(image, 'latin1')).toContain('s3cret-value')
    expect(statSync(image).mode & 0o777).toBe(0o600)
    expect(statSync(image).uid).toBe(statSync(join(home.runDir, uid)).uid)
    expect(readFileSync(join(home.stateDir, uid, 'state.json'), 'utf8')).not.toContain('s3cret')
    await worker.remove(refOf(vmi), { graceSeconds: 0 })
    await watch.removed(uid)
    expect(() => statSync(image)).toThrow('ENOENT')
  })

  const hostDisk = (path: string) => ({ name: 'host', hostDisk: { path, type: 'Disk' } })
  test.each<[string, NonNullable<VmiSpec['volumes']>[number], string, RegExp]>([
    [
      'a claim',
      { name: 'x', persistentVolumeClaim: { claimName: 'c' } },
      'UnsupportedDevice',
      /spec\.volumes\[0\]\.persistentVolumeClaim: .*no directory of claims: start its worker with --claims/,
    ],
    [
      'a file of the host that is not allowed',
      hostDisk('/etc/passwd'),
      'UnsupportedDevice',
      /spec\.volumes\[0\]\.hostDisk\.path/,
    ],
    [
      'a path that leads out of an allowed directory',
      hostDisk('/tmp/../etc/passwd'),
      'InvalidConfiguration',
      /no plain absolute path/,
    ],
    [
      'a disk without room',
      { name: 'x', emptyDisk: { capacity: '5' } },
      'InvalidConfiguration',
      /emptyDisk\.capacity/,
    ],
    [
      'a seed without data',
      { name: 'x', cloudInitNoCloud: {} },
      'InvalidConfiguration',
      /neither user data nor network data/,
    ],
    [
      'a name that leads elsewhere',
      { name: '../x', emptyDisk: { capacity: '1Mi' } },
      'InvalidConfiguration',
      /spec\.volumes\[0\]\.name/,
    ],
    [
      'an image without a disk',
      { name: 'x', containerDisk: { image: 'virtgate.local/hello-guest:latest' } },
      'ImageRejected',
      /disk/,
    ],
  ])('%s fails the VMI and says why', async (_what, volume, reason, message) => {
    const vmi = withVolumes('refused', [volume])
    await worker.sync(requestFor(vmi))
    const { conditions } = await watch.report(vmi.metadata.uid, ({ phase }) => phase === 'Failed')
    const [synchronized] = conditions
    expect(synchronized).toMatchObject({ type: 'Synchronized', status: 'False', reason })
    expect(synchronized?.message).toMatch(message)
  })

  test('what may come is waited for: a host disk, an image, a secret', async () => {
    const path = join(hostDisks, 'later.img')
    const vmi = withVolumes('patient', [hostDisk(path)])
    await worker.sync(requestFor(vmi))
    const { uid } = vmi.metadata
    const waiting = await watch.report(uid, ({ conditions }) =>
      conditions.some(({ status }) => status === 'False'),
    )
    expect(waiting).toMatchObject({ phase: 'Scheduled', conditions: [{ reason: 'HostResourceMissing' }] })
    writeFileSync(path, Buffer.alloc(MIB))
    const denied = await watch.report(
      uid,
      ({ conditions }) => /chgrp \d+/.test(conditions[0]?.message ?? '') || process.getuid?.() !== 0,
    )
    expect(denied.phase).toBe('Scheduled')
    chmodSync(path, 0o666)
    await watch.report(uid, ({ phase }) => phase === 'Running')
    await worker.remove(refOf(vmi), { graceSeconds: 0 })
    await watch.removed(uid)

    const absent = withVolumes('absent', [
      { name: 'root', containerDisk: { image: 'virtgate.local/absent:latest' } },
    ])
    await worker.sync(requestFor(absent))
    const report = await watch.report(absent.metadata.uid, ({ conditions }) => conditions.length > 0)
    expect(report).toMatchObject({ phase: 'Scheduled', conditions: [{ reason: 'ErrImageNeverPull' }] })
    await worker.remove(refOf(absent), { graceSeconds: 30 })
    await watch.removed(absent.metadata.uid, 5000)
    expect(watch.reports(absent.metadata.uid).at(-1)).toMatchObject({ phase: 'Failed', reason: 'Stopped' })
  })
})
