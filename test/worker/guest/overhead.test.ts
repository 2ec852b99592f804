import { expect, test } from 'vitest'
import type { MachinePlan } from '../../../src/qemu/plan.ts'
import { statusOf } from '../../../src/worker/guest/status.ts'
import { guestSpec } from '../../helpers/quotas.ts'

test('what QEMU takes beyond the guest is told beside its memory, never in it', async () => {
  const plan: MachinePlan = {
    uid: 'u',
    namespace: 'default',
    name: 'a',
    spec: guestSpec({ memory: { guest: '1Gi', reservedOverhead: { addedOverhead: '3Mi' } } }),
    paths: { runDir: '/run/a', stateDir: '/state/a' },
    disks: [],
    accelerator: 'tcg',
    machineType: 'pc-q35-7.2',
    slots: {},
    qemuVersion: { major: 7, minor: 2 },
  }
  const { memory } = await statusOf(plan, ['-m', 'size=1048584K', '-smp', '1'], [])
  // 115 MiB of QEMU, 2 MiB of page tables, and what was asked for.
  expect(memory).toEqual({
    guestAtBoot: '1Gi',
    guestCurrent: '1Gi',
    guestRequested: '1Gi',
    memoryOverhead: '120Mi',
  })
})
