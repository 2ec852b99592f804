import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { buildAdmission } from '../../src/admission/build.ts'
import { openAdmissionConfig } from '../../src/embedded/admission-config.ts'
import type { AnyObject } from '../../src/embedded/parts.ts'
import { buildReader } from '../../src/embedded/reader.ts'
import { mayUseAll } from '../../src/kinds/foreign-use.ts'
import { KUBEVIRTS, NAMESPACES, VMIS } from '../../src/kinds/table.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { openObjectDatabase } from '../../src/store/sqlite/open.ts'
import { asAdmin, openRegistry } from '../helpers/object-registry.ts'

test('a change of the KubeVirt object counts at the next review, through the whole API', async () => {
  const database = openObjectDatabase({ file: ':memory:' })
  const admission = buildAdmission({
    config: openAdmissionConfig(database, 'amd64').forWrites,
    reader: buildReader(database),
    foreignUses: () => mayUseAll,
    clock: systemClock,
    newUid: randomUUID,
  })
  using r = await openRegistry({ database, admission })
  const create = (name: string) =>
    r.api.create(
      VMIS,
      'default',
      {
        metadata: { name },
        spec: {
          domain: { memory: { guest: '64Mi' } },
          volumes: [{ name: 'v', hostDisk: { path: '/x', type: 'Disk' } }],
        },
      } as unknown as AnyObject,
      asAdmin(),
    )
  await expect(create('a')).rejects.toMatchObject({
    code: 422,
    message: expect.stringContaining('the feature gate HostDisk is off'),
  })
  await r.api.create(NAMESPACES, '', { metadata: { name: 'kubevirt' } } as unknown as AnyObject, asAdmin())
  const configuration = { developerConfiguration: { featureGates: ['HostDisk'] } }
  await r.api.create(
    KUBEVIRTS,
    'kubevirt',
    { metadata: { name: 'kubevirt' }, spec: { configuration } } as unknown as AnyObject,
    asAdmin(),
  )
  await expect(create('a')).rejects.toMatchObject({ code: 422 })
  await r.api.patch(
    KUBEVIRTS,
    'kubevirt',
    'kubevirt',
    'merge',
    { status: { phase: 'Deployed' } },
    asAdmin({ subresource: 'status' }),
  )
  const created = await create('a')
  expect(created).toMatchObject({
    metadata: { finalizers: ['kubevirt.io/foregroundDeleteVirtualMachine'], generation: 1 },
    spec: {
      domain: {
        devices: {
          interfaces: [{ name: 'default', masquerade: {} }],
          disks: [{ name: 'v', disk: { bus: 'sata' } }],
        },
      },
    },
    status: { phase: 'Pending' },
  })
})
