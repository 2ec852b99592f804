import { expect, test } from 'vitest'
import { whyNotMigratable } from '../../../src/worker/migration/migratable.ts'
import { guestSpec } from '../../helpers/quotas.ts'

test('an emulated guest on huge pages stays where it is: QEMU would lose writes to them', () => {
  const spec = guestSpec({ memory: { guest: '64Mi', hugepages: { pageSize: '2Mi' } } })
  expect(whyNotMigratable({ spec, accelerator: 'kvm' }, [])).toBeUndefined()
  expect(whyNotMigratable({ spec, accelerator: 'tcg' }, [])).toMatchObject({
    reason: 'EmulatedHugepagesNotLiveMigratable',
  })
})
