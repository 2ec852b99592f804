import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { Vmi, VmiSpec } from '../../src/kinds/kubevirt.ts'
import type { GuestClaim, SyncRequest } from '../../src/rpc/actions.ts'
import { requireQemu } from '../helpers/guest.ts'
import { depart, reaches } from '../helpers/migration.ts'
import { AS_ROOT, type TestNode, TwoNodes } from '../helpers/two-nodes.ts'
import { guestVmi, refOf, requestFor, Screen, TYPING, WorkerWatch } from '../helpers/worker.ts'

const MIB = 1024 ** 2
const LONG = { timeout: 300_000 }
const CLAIM: GuestClaim = {
  isBound: true,
  volumeMode: 'Filesystem',
  accessModes: ['ReadWriteMany'],
  requestedBytes: 8 * MIB,
}

type Volumes = NonNullable<VmiSpec['volumes']>
type Disks = NonNullable<VmiSpec['domain']['devices']['disks']>

/** The guest with disks that were added while it ran, as `addvolume` writes them into its spec. */
function withPlugged(vmi: Vmi, disks: Disks): Vmi {
  const volumes: Volumes = disks.map(({ name }) => ({
    name,
    persistentVolumeClaim: { claimName: name, hotpluggable: true },
  }))
  const { domain } = vmi.spec
  return {
    ...vmi,
    spec: { ...vmi.spec, volumes, domain: { ...domain, devices: { ...domain.devices, disks } } },
  }
}

requireQemu()('guests that move with disks that were added while they ran', () => {
  let claimsDir: string
  let nodes: TwoNodes
  let a: TestNode
  let b: TestNode

  beforeAll(async () => {
    claimsDir = mkdtempSync(join(tmpdir(), 'vg-claims-'))
    chmodSync(claimsDir, 0o711)
    nodes = await TwoNodes.open({ ...AS_ROOT, claimsDir })
    ;({ a, b } = nodes)
  })
  afterEach(() => nodes.clear())
  afterAll(async () => {
    await nodes[Symbol.asyncDispose]()
    rmSync(claimsDir, { recursive: true })
  })

  const imageOf = (claim: string) => join(claimsDir, 'default', claim, 'disk.img')
  const claims = (...names: string[]): Pick<SyncRequest, 'claims'> => {
    for (const name of names) mkdirSync(join(claimsDir, 'default', name), { recursive: true })
    return { claims: Object.fromEntries(names.map((name) => [name, CLAIM])) }
  }
  const boot = async (vmi: Vmi): Promise<Screen> => {
    await using watch = new WorkerWatch(a.worker)
    await a.worker.sync(requestFor(vmi))
    await watch.report(vmi.metadata.uid, ({ phase }) => phase === 'Running')
    const screen = new Screen(await a.worker.console(refOf(vmi), TYPING))
    await screen.shows(/GUEST-READY/)
    return screen
  }
  const change = async (node: TestNode, vmi: Vmi, names: string[], request: Partial<SyncRequest>) => {
    await using watch = new WorkerWatch(node.worker)
    await node.worker.sync(requestFor(vmi, request))
    await watch.report(vmi.metadata.uid, ({ status }) => {
      const volumes = status.volumeStatus ?? []
      return (
        volumes.length === names.length &&
        volumes.every(({ name, phase }) => names.includes(name) && phase === 'Ready')
      )
    })
  }
  let asked = 0
  /** What a command says, without the echo of its own line. */
  const ask = async (screen: Screen, command: string): Promise<string> => {
    asked += 1
    screen.type(`echo from-$((${asked}+0)); ${command}; echo to-$((${asked}+0))`)
    const [, said = ''] = await screen.shows(new RegExp(`from-${asked}\r\n([^]*)to-${asked}\r\n`))
    return said.replaceAll('\r', '')
  }

  test(
    'have them at the same places, with all that was written to them, and can lose them again',
    LONG,
    async () => {
      const bare = guestVmi('carrier')
      const before = await boot(bare)
      const vmi = withPlugged(bare, [
        { name: 'quick', disk: { bus: 'virtio' } },
        { name: 'plain', disk: { bus: 'scsi' }, serial: 'plain1' },
      ])
      const shared = claims('quick', 'plain')
      await change(a, vmi, ['quick', 'plain'], shared)
      expect((await a.worker.report(refOf(vmi))).conditions).toContainEqual({
        type: 'LiveMigratable',
        status: 'True',
      })
      const places = 'for d in vda sda; do readlink -f /sys/block/$d; done'
      const sums = 'for d in vda sda; do sha256sum /dev/$d; done'
      for (const disk of ['vda', 'sda'])
        await ask(
          before,
          `head -c 3000000 /dev/urandom | dd of=/dev/${disk} bs=4k seek=7 conv=notrunc,fsync 2>/dev/null`,
        )
      const [placesBefore, sumsBefore] = [await ask(before, places), await ask(before, sums)]
      expect(placesBefore).toMatch(/pci.*vda\n.*pci.*sda\n/)

      const journey = await depart(a.worker, b.worker, vmi, { epoch: 1, request: shared })
      expect(await reaches(b.worker, journey, 'done', 'failed')).toMatchObject({ phase: 'done' })
      await reaches(a.worker, journey, 'handedOver')
      await a.release(journey)

      const after = new Screen(await b.worker.console(refOf(vmi), TYPING))
      await ask(after, 'echo 3 >/proc/sys/vm/drop_caches')
      expect(await ask(after, places)).toBe(placesBefore)
      expect(await ask(after, sums)).toBe(sumsBefore)
      await ask(after, 'echo arrived | dd of=/dev/vda conv=notrunc,fsync 2>/dev/null')
      expect(readFileSync(imageOf('quick')).subarray(0, 7).toString()).toBe('arrived')
      // They are what they were: disks that can be taken out, and put in.
      const again = { ...shared, ...claims('quick', 'plain', 'third'), epoch: 2 }
      await change(
        b,
        withPlugged(bare, [{ name: 'plain', disk: { bus: 'scsi' }, serial: 'plain1' }]),
        ['plain'],
        again,
      )
      expect(await ask(after, 'ls /sys/block')).not.toContain('vda')
      await change(
        b,
        withPlugged(bare, [
          { name: 'plain', disk: { bus: 'scsi' }, serial: 'plain1' },
          { name: 'third', disk: { bus: 'virtio' } },
        ]),
        ['plain', 'third'],
        again,
      )
      expect(await ask(after, 'sleep 1; ls /sys/block')).toContain('vda')
    },
  )

  test('are not moved while one of them is a file of one node alone, and say which', LONG, async () => {
    const bare = guestVmi('bound')
    await boot(bare)
    const vmi = withPlugged(bare, [{ name: 'own', disk: { bus: 'scsi' } }])
    claims('own')
    const own = { claims: { own: { ...CLAIM, accessModes: ['ReadWriteOnce'] } } }
    await change(a, vmi, ['own'], own)
    await expect(a.worker.migrationFacts({ guest: refOf(vmi), migrationUid: 'one' })).rejects.toMatchObject({
      code: 409,
      message: expect.stringContaining('own') as string,
    })
    const conditions = async () => (await a.worker.report(refOf(vmi))).conditions
    expect(await conditions()).toContainEqual(
      expect.objectContaining({
        type: 'LiveMigratable',
        status: 'False',
        reason: 'HotplugNotLiveMigratable',
      }),
    )
    await change(a, bare, [], {})
    expect(await conditions()).toContainEqual({ type: 'LiveMigratable', status: 'True' })
  })
})
