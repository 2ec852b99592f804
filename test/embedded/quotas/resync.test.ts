import { mkdtempDisposableSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { withQuotas } from '../../../src/embedded/quotas/database.ts'
import { correctQuotas, startQuotaResync } from '../../../src/embedded/quotas/resync.ts'
import type { KubeObject } from '../../../src/kinds/meta.ts'
import type { ResourceQuota } from '../../../src/kinds/quota.ts'
import { RESOURCE_QUOTAS, VMIS } from '../../../src/kinds/table.ts'
import { openObjectDatabase } from '../../../src/store/sqlite/open.ts'
import { createFakeClock, turnUntil } from '../../helpers/fake-clock.ts'
import { anyObject, asAdmin, openRegistry, silentLog } from '../../helpers/object-registry.ts'
import { ALL, draftOf, quota, vmi } from '../../helpers/quotas.ts'

/** A database whose quota was written without books, as an earlier version of this program did. */
async function openOldDatabase() {
  const dir = mkdtempDisposableSync(join(tmpdir(), 'virtgate-quota-'))
  const database = openObjectDatabase({ file: join(dir.path, 'objects.db') })
  const registry = await openRegistry({ database, admission: anyObject })
  onTestFinished(() => {
    registry[Symbol.dispose]()
    dir.remove()
  })
  const draft = (object: ReturnType<typeof vmi | typeof quota>) => draftOf(object) as unknown as KubeObject
  await registry.api.create(VMIS, 'default', draft(vmi('a')), asAdmin())
  await registry.api.create(RESOURCE_QUOTAS, 'default', draft(quota('q', { cpu: '9' })), asAdmin())
  const read = async () => (await registry.api.get(RESOURCE_QUOTAS, 'default', 'q')) as ResourceQuota
  return { database, read }
}

test('quotas that were kept without books are counted at the start, and only once', async () => {
  const { database, read } = await openOldDatabase()
  expect((await read()).status).toBeUndefined()
  expect(await correctQuotas(database, ALL)).toEqual(['default/q'])
  expect((await read()).status).toEqual({ hard: { cpu: '9' }, used: { cpu: '2' } })
  expect(await correctQuotas(database, ALL)).toEqual([])
})

test('a quota that is off is put right from time to time, and that is told', async () => {
  const { database, read } = await openOldDatabase()
  const clock = createFakeClock()
  const warnings: string[] = []
  const log = { ...silentLog, warn: (_fields: object, text: string) => void warnings.push(text) }
  await using _resync = startQuotaResync({ database, clock, log }, ALL, 1000)
  clock.advance(1000)
  await turnUntil(async () => (await read()).status?.used?.['cpu'] === '2')
  expect(warnings).toEqual(['quotas were off and have been counted anew'])
})

test('books are kept by the database, whoever writes', async () => {
  const { database, read } = await openOldDatabase()
  await correctQuotas(database, ALL)
  const books = withQuotas(database, ALL)
  await books.write((transaction) =>
    transaction.remove({ kind: 'virtualmachineinstances.kubevirt.io', namespace: 'default', name: 'a' }),
  )
  expect((await read()).status?.used).toEqual({ cpu: '0' })
})
