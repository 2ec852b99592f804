import { describe, expect, test } from 'vitest'
import { reviewClone, type DataVolumeTemplate } from '../../src/instancetype/clone-sources.ts'
import { guardReader } from '../../src/instancetype/guarded-reader.ts'
import { findSourceArchitecture } from '../../src/instancetype/source-architecture.ts'
import { CLUSTER_INSTANCETYPES, DATA_SOURCES, PVCS } from '../../src/kinds/table.ts'
import { StatusError } from '../../src/lib/errors.ts'
import { objectOf, readerOf, vmOf } from './world.ts'

const ARM = { metadata: { labels: { 'template.kubevirt.io/architecture': 'arm64' } } }
const from = (source: object) => ({ spec: { source } })
const golden = { namespace: 'golden', name: 'image' }

const reader = readerOf(
  objectOf(DATA_SOURCES, 'of-claim', from({ pvc: golden })),
  objectOf(DATA_SOURCES, 'of-snapshot', from({ snapshot: golden })),
  objectOf(DATA_SOURCES, 'at-home', from({ pvc: { namespace: 'ns', name: 'mine' } })),
  objectOf(DATA_SOURCES, 'newest', from({ pvc: { name: 'image' } }), 'golden'),
  objectOf(DATA_SOURCES, 'of-newest', from({ dataSource: { namespace: 'golden', name: 'newest' } })),
  objectOf(DATA_SOURCES, 'circle', from({ dataSource: { namespace: 'ns', name: 'circle' } })),
  objectOf(DATA_SOURCES, 'arm', ARM, 'golden'),
)

/** What is asked for, as `namespace/name`, and what comes of it. */
async function reviewed(spec: object, forbidden: readonly string[] = []) {
  const asked: string[] = []
  const template = { metadata: { name: 'root' }, spec } as DataVolumeTemplate
  const found = await reviewClone(reader, 'ns', template, 'spec', async ({ namespace, name }) => {
    asked.push(`${namespace}/${name}`)
    if (forbidden.includes(namespace)) throw new StatusError(403, 'Forbidden', 'no')
  })
  return { asked, found }
}

const sourceRef = (name: string, namespace?: string) => ({
  sourceRef: { kind: 'DataSource', name, ...(namespace && { namespace }) },
})

describe('B7: a DataSource is followed to what it is a name for', () => {
  test.each<[string, string[], object | undefined]>([
    ['of-claim', ['golden/image'], { pvc: golden }],
    ['of-snapshot', ['golden/image'], { snapshot: golden }],
    ['of-newest', ['golden/newest', 'golden/image'], { pvc: golden }],
    ['at-home', [], { pvc: { namespace: 'ns', name: 'mine' } }],
    ['absent', [], undefined],
  ])('%s', async (name, asked, found) => {
    expect(await reviewed(sourceRef(name))).toEqual({ asked, found })
  })

  test('and is not read where it may not be used', async () => {
    await expect(reviewed(sourceRef('of-newest'), ['golden'])).rejects.toMatchObject({ code: 403 })
    await expect(reviewed(sourceRef('none', 'golden'), ['golden'])).rejects.toMatchObject({ code: 403 })
  })

  test('but not for ever', async () => {
    await expect(reviewed(sourceRef('circle'))).rejects.toMatchObject({ code: 400 })
  })
})

describe('B7: reading with the rights of somebody', () => {
  const seen: string[] = []
  const guarded = guardReader(
    readerOf(
      objectOf(PVCS, 'mine'),
      objectOf(PVCS, 'theirs', {}, 'golden'),
      objectOf(CLUSTER_INSTANCETYPES, 'big'),
      objectOf(DATA_SOURCES, 'arm', ARM, 'golden'),
    ),
    'ns',
    async ({ namespace, name }) => {
      seen.push(`${namespace}/${name}`)
      throw new StatusError(403, 'Forbidden', 'no')
    },
  )

  test('asks about other namespaces, and about no others', async () => {
    expect(await guarded.get(PVCS, 'ns', 'mine')).toBeDefined()
    expect(await guarded.get(CLUSTER_INSTANCETYPES, '', 'big')).toBeDefined()
    expect(seen).toEqual([])
    await expect(guarded.get(PVCS, 'golden', 'theirs')).rejects.toMatchObject({ code: 403 })
    await expect(guarded.get(PVCS, '', 'theirs')).rejects.toMatchObject({ code: 403 })
  })

  test('a guest has no architecture from a DataSource that may not be read (MUT-VM-031)', async () => {
    const vm = vmOf({ dataVolumeTemplates: [{ metadata: { name: 'd' }, spec: sourceRef('arm', 'golden') }] })
    expect(await findSourceArchitecture(guarded, vm)).toBeUndefined()
    expect(await findSourceArchitecture(reader, vm)).toBe('arm64')
  })
})
