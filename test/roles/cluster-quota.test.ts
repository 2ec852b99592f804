import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import type { Vmi } from '../../src/kinds/kubevirt.ts'
import { RESOURCE_QUOTAS, VMIS } from '../../src/kinds/table.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { RESERVATIONS_ANNOTATION } from '../../src/quota/reservations.ts'
import { openClusterLedger } from '../../src/roles/cluster-quota.ts'
import { openCluster } from '../../src/roles/cluster.ts'
import { openKubeStore } from '../../src/store/kube/store.ts'
import { memoryLog } from '../helpers/api.ts'
import { openObjectServer } from '../helpers/object-server.ts'
import { draftOf, quota, vmi } from '../helpers/quotas.ts'

test('the account of the API server may reserve room, over the wire, and counts the guests there are', async () => {
  await using objects = await openObjectServer()
  const admin = openKubeStore(objects.client)
  await admin.create(RESOURCE_QUOTAS, draftOf(quota('q', { 'requests.cpu': '5' })))
  await admin.create(VMIS, draftOf(vmi('first')))
  const kubeconfig = await objects.kubeconfigOf('kubevirt', 'kubevirt-apiserver')
  await using cluster = await openCluster({ kubeconfig })
  await using ledger = openClusterLedger(cluster.store, systemClock, memoryLog())

  const guest = (name: string): Vmi => {
    const made = vmi(name)
    return { ...made, metadata: { ...made.metadata, uid: randomUUID() } }
  }
  const second = guest('second')
  await ledger.reserve({ vmi: second, dryRun: false })
  const stored = await admin.get(RESOURCE_QUOTAS, 'default', 'q')
  expect(stored?.metadata.annotations?.[RESERVATIONS_ANNOTATION]).toContain(second.metadata.uid)
  await expect(ledger.reserve({ vmi: guest('third'), dryRun: false })).rejects.toThrow(
    /exceeded quota: q, requested: requests.cpu=2, used: requests.cpu=4, limited: requests.cpu=5/,
  )
})
