import { createHash } from 'node:crypto'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { Vmi, VmiSpec } from '../../src/kinds/kubevirt.ts'
import { requireQemu } from '../helpers/guest.ts'
import { countingVmi, depart, printed, reaches } from '../helpers/migration.ts'
import { AS_ROOT, gapIn, type TestNode, TwoNodes } from '../helpers/two-nodes.ts'
import {
  guestImages,
  guestVmi,
  makeHome,
  refOf,
  requestFor,
  Screen,
  type WorkerHome,
  WorkerWatch,
} from '../helpers/worker.ts'

const MIB = 1024 ** 2
const BASE = 'virtgate.local/migrated-disk:latest'
const CONSOLE = { mode: 'write', preserveSession: false, user: 'test' } as const
const LONG = { timeout: 240_000 }
const sha256 = (data: Buffer | string): string => createHash('sha256').update(data).digest('hex')

type Volumes = NonNullable<VmiSpec['volumes']>

/** A VMI with these volumes, each on a virtio disk of its name, those in `readOnly` to be read only. */
function withVolumes(
  name: string,
  volumes: Volumes,
  readOnly: string[] = [],
  more: Partial<VmiSpec> = {},
): Vmi {
  const disks = volumes.map((volume) => ({
    name: volume.name,
    disk: { bus: 'virtio', ...(readOnly.includes(volume.name) && { readonly: true }) },
  }))
  return guestVmi(name, { ...more, volumes, domain: { ...more.domain, devices: { disks } } })
}

requireQemu()('disks of guests that move', () => {
  let imagesHome: WorkerHome
  let hostDisks: string
  let nodes: TwoNodes
  let a: TestNode
  let b: TestNode

  beforeAll(async () => {
    imagesHome = await makeHome()
    const images = await guestImages(imagesHome)
    await images.import(BASE, [{ path: '/disk/base.img', data: Buffer.alloc(8 * MIB, 'base') }])
    hostDisks = mkdtempSync(join(tmpdir(), 'vg-shared-'))
    chmodSync(hostDisks, 0o711)
    nodes = await TwoNodes.open({ ...AS_ROOT, images, hostDiskPrefixes: [hostDisks] })
    ;({ a, b } = nodes)
  })
  afterEach(() => nodes.clear())
  afterAll(async () => {
    await nodes[Symbol.asyncDispose]()
    rmSync(hostDisks, { recursive: true })
    await imagesHome[Symbol.asyncDispose]()
  })

  const startOn = async (vmi: Vmi, node: TestNode): Promise<void> => {
    await using watch = new WorkerWatch(node.worker)
    await node.worker.sync(requestFor(vmi, { configMaps: MAPS }))
    await watch.report(vmi.metadata.uid, ({ phase }) => phase === 'Running')
  }
  const bootTo = async (vmi: Vmi, node: TestNode): Promise<Screen> => {
    await startOn(vmi, node)
    const screen = new Screen(await node.worker.console(refOf(vmi), CONSOLE))
    await screen.shows(/GUEST-READY/)
    return screen
  }
  const move = async (vmi: Vmi): Promise<Screen> => {
    const journey = await depart(a.worker, b.worker, vmi, { epoch: 1, request: { configMaps: MAPS } })
    expect(await reaches(b.worker, journey, 'done', 'failed')).toMatchObject({ phase: 'done' })
    await reaches(a.worker, journey, 'handedOver')
    await a.release(journey)
    return new Screen(await b.worker.console(refOf(vmi), CONSOLE))
  }
  const MAPS = { settings: { colour: Buffer.from('green').toString('base64') } }

  test(
    'what was written to an image, an empty disk and a generated one is there afterwards; a shared file stays where it is',
    LONG,
    async () => {
      const shared = join(hostDisks, 'shared.img')
      writeFileSync(shared, Buffer.alloc(4 * MIB, 'shared'))
      const vmi = withVolumes(
        'packed',
        [
          { name: 'image', containerDisk: { image: BASE } },
          { name: 'base', containerDisk: { image: BASE } },
          { name: 'scratch', emptyDisk: { capacity: '16Mi' } },
          { name: 'settings', configMap: { name: 'settings' } },
          { name: 'writable', configMap: { name: 'settings' } },
          { name: 'host', hostDisk: { path: shared, type: 'Disk', shared: true } },
        ],
        ['base', 'settings'],
      )
      const before = await bootTo(vmi, a)
      expect((await a.worker.report(refOf(vmi))).conditions).toContainEqual({
        type: 'LiveMigratable',
        status: 'True',
      })
      for (const disk of ['vda', 'vdc', 'vde', 'vdf'])
        before.type(
          `echo "mark on ${disk}" | dd of=/dev/${disk} bs=512 seek=100 conv=notrunc,sync,fsync 2>/dev/null`,
        )
      before.type('for d in a b c d e f; do sha256sum /dev/vd$d; done; echo all-$((3*7))')
      await before.shows(/all-21/)
      const sums = [...before.text.matchAll(/([0-9a-f]{64}) {2}\/dev\/vd[a-f]/g)].map(([, sum]) => sum)
      expect(sums).toHaveLength(6)

      const after = await move(vmi)
      after.type(
        'echo 3 >/proc/sys/vm/drop_caches; for d in a b c d e f; do sha256sum /dev/vd$d; done; echo all-$((3*7))',
      )
      await after.shows(/all-21/)
      expect([...after.text.matchAll(/([0-9a-f]{64}) {2}\/dev\/vd[a-f]/g)].map(([, sum]) => sum)).toEqual(
        sums,
      )
      expect(sha256(readFileSync(shared))).toBe(sums[5])
      after.type(
        'echo again | dd of=/dev/vdf bs=512 seek=200 conv=notrunc,sync,fsync 2>/dev/null; echo all-$((4*7))',
      )
      await after.shows(/all-28/)
      expect(readFileSync(shared).includes('again')).toBe(true)
    },
  )

  test(
    'a guest with EFI takes its variables along, and can be reset where it has arrived',
    LONG,
    async () => {
      const efi = guestVmi('efi')
      const vmi: Vmi = {
        ...efi,
        spec: {
          ...efi.spec,
          domain: {
            ...efi.spec.domain,
            firmware: { ...efi.spec.domain.firmware, bootloader: { efi: { secureBoot: false } } },
          },
        },
      }
      await bootTo(vmi, a)
      const after = await move(vmi)
      after.type('echo alive-$((5*7))')
      await after.shows(/alive-35/)
      await b.worker.reset(refOf(vmi))
      await after.shows(/GUEST-READY/, 120_000)
      expect(await b.worker.report(refOf(vmi))).toMatchObject({ phase: 'Running', epoch: 2 })
    },
  )

  test(
    'a guest that its memory follows: post-copy, where it writes faster than it can be sent',
    LONG,
    async () => {
      const vmi = countingVmi('hasty')
      await a.boot(vmi)
      const options = {
        allowPostCopy: true,
        bandwidthBytes: 12 * MIB,
        maxDowntimeMs: 1,
        completionSecondsPerGiB: 1,
      }
      const journey = await depart(a.worker, b.worker, vmi, { epoch: 1, options })
      expect(journey.reply.postCopy).toBe(true)
      const arrived = await reaches(b.worker, journey, 'done', 'failed')
      expect(arrived).toMatchObject({ phase: 'done', mode: 'PostCopy' })
      expect(await reaches(a.worker, journey, 'handedOver')).toMatchObject({ mode: 'PostCopy' })
      const text = await a.release(journey)
      await b.counts(vmi, 3)
      expect(gapIn(text + printed(b.home, vmi))).toBeUndefined()
    },
  )

  test('a guest on a file of one node alone is not moved, and says so', LONG, async () => {
    const own = join(hostDisks, 'own.img')
    writeFileSync(own, Buffer.alloc(MIB))
    const vmi = withVolumes('rooted', [{ name: 'host', hostDisk: { path: own, type: 'Disk' } }])
    await startOn(vmi, a)
    const refused = a.worker.migrationFacts({ guest: refOf(vmi), migrationUid: 'one' })
    await expect(refused).rejects.toMatchObject({
      code: 409,
      message: expect.stringContaining('host') as string,
    })
    expect((await a.worker.report(refOf(vmi))).conditions).toContainEqual(
      expect.objectContaining({ type: 'LiveMigratable', status: 'False', reason: 'DisksNotLiveMigratable' }),
    )
  })

  test(
    'a target that lacks the base image says so, and nothing of the guest is left there',
    LONG,
    async () => {
      const vmi = withVolumes('choosy', [{ name: 'image', containerDisk: { image: BASE } }])
      // What its programs do makes no difference.
      await startOn(vmi, a)
      const ref = { guest: refOf(vmi), migrationUid: 'two' }
      const facts = await a.worker.migrationFacts(ref)
      const images = { ...(facts.facts.images as object), [BASE]: `sha256:${'0'.repeat(64)}` }
      const other = { ...facts, facts: { ...facts.facts, images } }
      const sync = requestFor(vmi, { epoch: 2 })
      await expect(b.worker.prepareIncoming({ ...ref, sync, facts: other })).rejects.toMatchObject({
        code: 409,
        message: expect.stringMatching(/incompatible-target: this node cannot get the image/) as string,
      })
      expect(await b.worker.report(refOf(vmi))).toMatchObject({
        phase: 'Scheduled',
        migration: { phase: 'failed', side: 'target' },
      })
      // Another migration may use the node at once.
      const next = { ...ref, migrationUid: 'three' }
      const again = await a.worker.migrationFacts(next)
      expect(await b.worker.prepareIncoming({ ...next, sync, facts: again })).toHaveProperty('ports')
    },
  )
})
