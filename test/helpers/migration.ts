import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createAuthority } from '../../certs/issue.ts'
import { issueMigration } from '../../certs/migration.ts'
import type { Vmi } from '../../src/kinds/kubevirt.ts'
import type {
  Actions,
  IncomingReply,
  MigrationOptions,
  MigrationReport,
  MigrationTls,
  SyncRequest,
} from '../../src/rpc/actions.ts'
import { guestVmi, refOf, requestFor, type WorkerHome, WorkerWatch } from './worker.ts'

/** What a node is asked here. */
export type Mover = Pick<
  Actions,
  | 'sync'
  | 'report'
  | 'watch'
  | 'migrationFacts'
  | 'prepareIncoming'
  | 'startOutgoing'
  | 'cancelMigration'
  | 'releaseMigration'
  | 'reclaimMigration'
>

/** Options of a migration that has nothing in its way. */
export const QUICK: MigrationOptions = {
  bandwidthBytes: 0,
  completionSecondsPerGiB: 150,
  progressSeconds: 150,
  maxDowntimeMs: 900,
  allowAutoConverge: false,
  allowPostCopy: false,
  allowWorkloadDisruption: false,
}

/** The certificates of both sides of one migration, by an authority of their own. */
export async function makeMigrationTls(uid: string): Promise<{ source: MigrationTls; target: MigrationTls }> {
  const now = new Date()
  const authority = await createAuthority({ commonName: 'test migrations', now, days: 1 })
  return issueMigration(authority, uid, now)
}

const COUNTER = `#!/bin/sh
i=0
dd if=/dev/urandom of=/tmp/one bs=64k count=16 2>/dev/null
while [ ! -e /tmp/stop ]; do
  i=$((i+1))
  echo "count $i"
  dd if=/tmp/one of=/tmp/memory bs=64k conv=notrunc 2>/dev/null
  echo "record $i end" | dd of=/dev/vda bs=512 seek=$i conv=notrunc,sync,fsync 2>/dev/null
  usleep 30000
done
echo 3 >/proc/sys/vm/drop_caches
seq $i | sed 's/.*/record & end/' >/tmp/wanted
dd if=/dev/vda bs=512 skip=1 count=$i 2>/dev/null | tr -d '\\000' >/tmp/found
bad=$(diff /tmp/wanted /tmp/found | grep -c '^[-+<>][^-+]')
echo "checked $i records, $bad bad"
`

/** A guest that counts on its console, writes to its memory, and a record for each number to its disk. */
export function countingVmi(name: string): Vmi {
  return guestVmi(name, {
    volumes: [
      { name: 'data', emptyDisk: { capacity: '64Mi' } },
      { name: 'seed', cloudInitNoCloud: { userData: COUNTER } },
    ],
    domain: {
      devices: {
        disks: [
          { name: 'data', disk: { bus: 'virtio' } },
          { name: 'seed', disk: { bus: 'virtio', readonly: true } },
        ],
      },
    },
  })
}

/** Writes so many MiB of its memory over and over, and counts on its console. */
const WRITER = `#!/bin/sh
dd if=/dev/urandom of=/tmp/one bs=64k count=16 2>/dev/null
for _ in $(seq MIB); do cat /tmp/one; done >/tmp/from
(while :; do dd if=/tmp/from of=/tmp/to bs=1M conv=notrunc 2>/dev/null; done) &
i=0
while :; do
  i=$((i+1))
  echo "count $i"
  usleep 30000
done
`

/** A guest that counts on its console and writes to its memory as fast as it can, to so many MiB of it. */
export function writingVmi(name: string, mib: number): Vmi {
  return guestVmi(name, {
    volumes: [{ name: 'seed', cloudInitNoCloud: { userData: WRITER.replace('MIB', String(mib)) } }],
    domain: { devices: { disks: [{ name: 'seed', disk: { bus: 'virtio', readonly: true } }] } },
  })
}

/** A migration that is under way. */
export interface Journey {
  uid: string
  vmi: Vmi
  epoch: number
  reply: IncomingReply
}

/** What may be different about a migration. */
export interface JourneyOptions {
  epoch: number
  options?: Partial<MigrationOptions>
  encrypted?: boolean
  network?: string
  /** Called when the target is ready, before the guest is sent. */
  onReady?: (uid: string, reply: IncomingReply) => Promise<void> | void
  /** What the source is told of where the target listens; what the target has said where absent. */
  via?: (reply: IncomingReply) => Promise<IncomingReply>
  request?: Partial<SyncRequest>
}

/** Has a guest begin to move: what the controller does, in steps 1 to 4 of contract worker-qemu 5.2. */
export async function depart(
  source: Mover,
  target: Mover,
  vmi: Vmi,
  { epoch, options = {}, encrypted = true, network, onReady, via, request = {} }: JourneyOptions,
): Promise<Journey> {
  const uid = randomUUID()
  const ref = { guest: refOf(vmi), migrationUid: uid }
  const tls = encrypted ? await makeMigrationTls(uid) : undefined
  const facts = await source.migrationFacts(ref)
  const reply = await target.prepareIncoming({
    ...ref,
    sync: requestFor(vmi, { ...request, epoch: epoch + 1 }),
    facts,
    ...(tls && { tls: tls.target }),
    ...(network && { network }),
  })
  await onReady?.(uid, reply)
  await source.startOutgoing({
    ...ref,
    epoch,
    target: (await via?.(reply)) ?? reply,
    options: { ...QUICK, ...options },
    ...(tls && { tls: tls.source }),
  })
  return { uid, vmi, epoch, reply }
}

/** Waits for a phase of the migration on one side. */
export async function reaches(
  node: Pick<Actions, 'watch'>,
  { uid, vmi }: Pick<Journey, 'uid' | 'vmi'>,
  ...phases: MigrationReport['phase'][]
): Promise<MigrationReport> {
  await using watch = new WorkerWatch(node)
  const { migration } = await watch.report(
    vmi.metadata.uid,
    ({ migration }) => migration?.migrationUid === uid && phases.includes(migration.phase),
  )
  if (!migration) throw new Error('the report was chosen for it')
  return migration
}

/** All that a guest has printed on a node, as its QEMU has written it down. */
export function printed(home: Pick<WorkerHome, 'stateDir'>, { metadata }: Vmi): string {
  const file = join(home.stateDir, metadata.uid, 'serial0.log')
  return existsSync(file) ? readFileSync(file, 'latin1') : ''
}

/** Numbers that a counting guest has printed, in order. */
export function countsIn(text: string): number[] {
  return [...text.matchAll(/count (\d+)\r?\n/g)].map(([, number]) => Number(number))
}
