/** Security checklist, E7: what is seen on the network while a guest is moved. */
import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { Vmi } from '../../src/kinds/kubevirt.ts'
import { openWire } from '../helpers/broken-wire.ts'
import { requireQemu } from '../helpers/guest.ts'
import { depart, reaches } from '../helpers/migration.ts'
import { AS_ROOT, type TestNode, TwoNodes } from '../helpers/two-nodes.ts'
import { guestVmi } from '../helpers/worker.ts'

const LONG = { timeout: 300_000 }
const MIB = 1024 ** 2

/** A guest whose memory holds a text many times over, each time put together anew, and that counts then. */
function secretive(name: string, secret: string): Vmi {
  const [first, ...rest] = secret.split('-')
  const script = `#!/bin/sh
for i in $(seq 2000); do echo "${first}""-${rest.join('-')} $i"; done >/tmp/secrets
i=0
while :; do i=$((i+1)); echo "count $i"; usleep 30000; done
`
  return guestVmi(name, {
    volumes: [{ name: 'seed', cloudInitNoCloud: { userData: script } }],
    domain: { devices: { disks: [{ name: 'seed', disk: { bus: 'virtio', readonly: true } }] } },
  })
}

/** Looks for a text in what it is shown, over the borders of chunks. */
function lookFor(text: string) {
  const wanted = Buffer.from(text)
  let rest = Buffer.alloc(0)
  const seen = { bytes: 0, times: 0 }
  const look = (chunk: Buffer): void => {
    seen.bytes += chunk.length
    const all = Buffer.concat([rest, chunk])
    for (let at = all.indexOf(wanted); at >= 0; at = all.indexOf(wanted, at + 1)) seen.times += 1
    rest = all.subarray(Math.max(0, all.length - wanted.length + 1))
  }
  return { seen, look }
}

requireQemu()('what is seen on the network while a guest is moved', () => {
  let nodes: TwoNodes
  let a: TestNode
  let b: TestNode

  beforeAll(async () => {
    // What root's QEMU dials is on this host, where we listen in.
    nodes = await TwoNodes.open(AS_ROOT)
    ;({ a, b } = nodes)
  })
  afterEach(() => nodes.clear())
  afterAll(() => nodes[Symbol.asyncDispose]())

  test.each([
    ['with certificates, as controllers have it: nothing of its memory', true, 0, 0],
    ['without: all of it, so that looking would find it', false, 1000, Number.POSITIVE_INFINITY],
  ])('E7: %s', LONG, async (_how, encrypted, least, most) => {
    const secret = `secret-${randomUUID()}`
    const vmi = secretive(encrypted ? 'hidden' : 'shown', secret)
    const { seen, look } = lookFor(secret)
    await using wire = openWire(look)
    await a.boot(vmi)
    await a.counts(vmi, 3)
    const journey = await depart(a.worker, b.worker, vmi, {
      epoch: 1,
      encrypted,
      via: (reply) => wire.to(reply),
    })
    expect(await reaches(b.worker, journey, 'done', 'failed')).toMatchObject({ phase: 'done' })
    await reaches(a.worker, journey, 'handedOver')
    await a.release(journey)
    expect(seen.bytes).toBeGreaterThan(MIB)
    expect(seen.times).toBeGreaterThanOrEqual(least)
    expect(seen.times).toBeLessThanOrEqual(most)
  })
})
