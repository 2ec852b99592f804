import { mkdtemp, rename, symlink, writeFile, mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createAuthority, issue } from '../../certs/issue.ts'
import { pairSource, watchFiles } from '../../certs/watch-files.ts'

const now = new Date()
const ca = await createAuthority({ commonName: 'test-ca', now, days: 10 })
const newLeaf = () => issue(ca, { commonName: 'x', usage: 'server', now, days: 1 })

async function folderWith(pair: { cert: string; key: string }, dir?: string) {
  const folder = dir ?? (await mkdtemp(join(tmpdir(), 'virtgate-watch-')))
  const files = { cert: join(folder, 'tls.crt'), key: join(folder, 'tls.key'), ca: join(folder, 'ca.crt') }
  await writeFile(files.cert, pair.cert)
  await writeFile(files.key, pair.key)
  await writeFile(files.ca, ca.cert)
  return { folder, files }
}

test.each(['certificate first', 'key first'])(
  'E6: a pair replaced %s is taken once both are there',
  async (order) => {
    const [old, young] = [await newLeaf(), await newLeaf()]
    const { files } = await folderWith(old)
    const errors: string[] = []
    using stop = new AbortOnDispose()
    const changes = watchFiles(
      pairSource(files),
      await pairSource(files).load(),
      stop.signal,
      (error) => errors.push(error.message),
      100,
    )
    const next = changes.next()
    const steps = [() => writeFile(files.cert, young.cert), () => writeFile(files.key, young.key)]
    if (order === 'key first') steps.reverse()
    await steps[0]?.()
    await expect.poll(() => errors).toHaveLength(1)
    expect(errors[0]).toContain('do not belong together')
    await steps[1]?.()
    expect((await next).value).toMatchObject(young)
  },
)

test('E6: a symlink swap, as Kubernetes mounts a Secret, is seen', async () => {
  const [old, young] = [await newLeaf(), await newLeaf()]
  const parent = await mkdtemp(join(tmpdir(), 'virtgate-watch-'))
  const [first, second] = [join(parent, '..1'), join(parent, '..2')]
  await mkdir(first)
  await mkdir(second)
  await folderWith(old, first)
  await folderWith(young, second)
  await symlink(first, join(parent, '..data'))
  const at = (name: string) => join(parent, '..data', name)
  const files = { cert: at('tls.crt'), key: at('tls.key'), ca: at('ca.crt') }
  using stop = new AbortOnDispose()
  const changes = watchFiles(pairSource(files), await pairSource(files).load(), stop.signal, fail, 50)
  const next = changes.next()
  await symlink(second, join(parent, '..tmp'))
  await rename(join(parent, '..tmp'), join(parent, '..data'))
  expect((await next).value).toMatchObject(young)
})

test('E6: a pair that is replaced without a file event is taken', async () => {
  const [old, young] = [await newLeaf(), await newLeaf()]
  const { files: real } = await folderWith(old)
  const folder = await mkdtemp(join(tmpdir(), 'virtgate-watch-'))
  // What happens behind the links is no event in their folder.
  const files = { cert: join(folder, 'tls.crt'), key: join(folder, 'tls.key'), ca: join(folder, 'ca.crt') }
  for (const name of ['cert', 'key', 'ca'] as const) await symlink(real[name], files[name])
  using stop = new AbortOnDispose()
  const changes = watchFiles(pairSource(files), await pairSource(files).load(), stop.signal, () => {}, 50)
  const next = changes.next()
  await writeFile(real.cert, young.cert)
  await writeFile(real.key, young.key)
  expect((await next).value).toMatchObject(young)
})

test('an abort ends it', async () => {
  const { files } = await folderWith(await newLeaf())
  using stop = new AbortOnDispose()
  const changes = watchFiles(pairSource(files), await pairSource(files).load(), stop.signal, fail)
  const next = changes.next()
  stop.abort()
  expect((await next).done).toBe(true)
})

class AbortOnDispose extends AbortController implements Disposable {
  [Symbol.dispose]() {
    this.abort()
  }
}

function fail(error: Error): never {
  throw error
}
