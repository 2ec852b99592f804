import { chmod, mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Agent } from 'undici'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type ImageStore, openImageStore } from '../../../src/worker/images/store.ts'
import { makeBlob, makeTestImage, openTestStore } from '../../helpers/images.ts'
import { TestRegistry, pullSecret } from '../../helpers/registry.ts'

const login = { user: 'robot', password: 'hunter2-of-the-test' }
const wrong = (text: RegExp, reason = 'ErrImagePull') =>
  expect.objectContaining({ name: 'ImageError', reason, message: expect.stringMatching(text) })

/** Made anew for each test; what they hold is closed with it. */
let open: AsyncDisposableStack
beforeEach(() => {
  open = new AsyncDisposableStack()
})
afterEach(async () => open.disposeAsync())

async function setUp(registryOptions = {}, storeOptions = {}) {
  const registry = open.use(await TestRegistry.start(registryOptions))
  const opened = open.use(await openTestStore({ dispatcher: registry.agent, ...storeOptions }))
  return { registry, ...opened }
}

const hello = makeTestImage([[{ name: 'boot/vmlinuz', data: 'a kernel' }], [{ name: 'etc/x', data: 'y' }]])
const other = makeTestImage([[{ name: 'boot/vmlinuz', data: 'another kernel' }]])

async function kernelOf(store: ImageStore, reference: string, options = {}): Promise<string> {
  const image = await store.ensure(reference, options)
  return readFile(await store.file(image, '/boot/vmlinuz'), 'utf8')
}

test.each(['', '+gzip', '+zstd'] as const)(
  'an image with layers "tar%s" is pulled, told about and kept',
  async (kind) => {
    const { registry, store, dir } = await setUp()
    const image = await makeTestImage([[{ name: './boot/vmlinuz', data: 'a kernel' }]], kind)
    const reference = registry.push('team/hello', 'v1', image)
    const progress: number[][] = []
    const local = await store.ensure(reference, {
      onProgress: ({ doneBytes, totalBytes }) => progress.push([doneBytes, totalBytes]),
    })
    expect(local).toMatchObject({ reference, digest: image.manifest.descriptor.digest })
    const total = image.blobs.reduce((sum, { bytes }) => sum + bytes.length, 0)
    expect(progress[0]).toEqual([0, total])
    expect(progress.at(-1)).toEqual([total, total])
    expect(await kernelOf(store, reference)).toBe('a kernel')
    const index = JSON.parse(await readFile(join(dir, 'index.json'), 'utf8'))
    expect(index.manifests).toEqual([
      { ...image.manifest.descriptor, annotations: { 'org.opencontainers.image.ref.name': reference } },
    ])
  },
)

test('the policies do as in Kubernetes', async () => {
  const { registry, store } = await setUp()
  const reference = registry.push('team/hello', 'v1', await hello)
  await expect(store.ensure(reference, { policy: 'Never' })).rejects.toEqual(
    wrong(/not on this node/, 'ErrImageNeverPull'),
  )
  expect(registry.seen).toEqual([])
  expect(await kernelOf(store, reference, { policy: 'IfNotPresent' })).toBe('a kernel')
  registry.push('team/hello', 'v1', await other)
  expect(await kernelOf(store, reference)).toBe('a kernel')
  expect(await kernelOf(store, reference, { policy: 'Never' })).toBe('a kernel')
  expect(await kernelOf(store, reference, { policy: 'Always' })).toBe('another kernel')
  registry.push('team/hello', 'latest', await hello)
  const latest = reference.replace(':v1', '')
  expect(await kernelOf(store, latest)).toBe('a kernel')
  registry.push('team/hello', 'latest', await other)
  expect(await kernelOf(store, latest)).toBe('another kernel')
})

test('what is here already is not fetched again', async () => {
  const { registry, store } = await setUp()
  const reference = registry.push('team/hello', 'v1', await hello)
  await store.ensure(reference)
  const blobs = registry.asked('/blobs/').length
  expect(blobs).toBe(3)
  await store.ensure(registry.push('team/copy', 'v1', await hello))
  await store.ensure(reference, { policy: 'Always' })
  expect(registry.asked('/blobs/')).toHaveLength(blobs)
})

test('a reference with a digest gets that very image', async () => {
  const { registry, store } = await setUp()
  const image = await hello
  registry.push('team/hello', 'v1', image)
  registry.push('team/hello', 'v2', await other)
  const { digest } = image.manifest.descriptor
  expect(await kernelOf(store, `${registry.address}/team/hello:v2@${digest}`)).toBe('a kernel')
})

test('of an index, the image for this machine is taken, and no attestation', async () => {
  const { registry, store } = await setUp()
  const here = { os: 'linux', architecture: process.arch === 'x64' ? 'amd64' : process.arch }
  const there = { os: 'linux', architecture: 's390x' }
  const noted = { os: 'unknown', architecture: 'unknown' }
  const images = [
    { image: await other, platform: there },
    { image: await hello, platform: here },
  ]
  expect(await kernelOf(store, registry.pushIndex('multi', 'all', images))).toBe('a kernel')
  const sole = [images[0]!, { image: await hello, platform: noted }]
  expect(await kernelOf(store, registry.pushIndex('multi', 'sole', sole))).toBe('another kernel')
  const none = registry.pushIndex('multi', 'none', [
    images[0]!,
    { image: await hello, platform: { ...there, architecture: 'ppc64le' } },
  ])
  await expect(store.ensure(none)).rejects.toEqual(wrong(/s390x.*ppc64le/, 'ImageRejected'))
})

test('many who want the same image share one pull, and one who leaves does not end it', async () => {
  const { registry, store } = await setUp()
  const reference = registry.push('team/hello', 'v1', await hello)
  const leaving = new AbortController()
  registry.faults.push((_request, _response, path) => {
    if (path.includes('/blobs/')) leaving.abort(new Error('gone home'))
    return false
  })
  const left = store.ensure(reference, { signal: leaving.signal })
  const stayed = [store.ensure(reference), store.ensure(reference)]
  await expect(left).rejects.toThrow('gone home')
  await Promise.all(stayed)
  expect(registry.asked('/manifests/')).toHaveLength(1)
  expect(registry.asked('/blobs/')).toHaveLength(3)
})

test('a pull that nobody waits for any more ends, and leaves nothing', async () => {
  const { registry, store, dir } = await setUp()
  const reference = registry.push('team/hello', 'v1', await hello)
  const leaving = new AbortController()
  registry.faults.push((_request, response, path) => {
    if (!path.includes('/blobs/')) return false
    response.writeHead(200).write('x')
    leaving.abort(new Error('gone home'))
    return true
  })
  await expect(store.ensure(reference, { signal: leaving.signal })).rejects.toThrow('gone home')
  registry.faults.length = 0
  await store.ensure(reference)
  const scratch = join(dir, 'scratch')
  const files = await Promise.all((await readdir(scratch)).map((name) => readdir(join(scratch, name))))
  expect(files.flat()).toEqual([])
})

test.each(['bearer', 'basic'] as const)(
  'a private image (%s) is pulled with the right secret alone',
  async (scheme) => {
    const { registry, store } = await setUp({ login: { ...login, scheme } })
    const reference = registry.push('team/private', 'v1', await hello)
    const good = { mine: pullSecret(registry.address, login.user, login.password) }
    const bad = { mine: pullSecret(registry.address, login.user, 'stale') }
    await expect(store.ensure(reference)).rejects.toEqual(wrong(/login|token/))
    await expect(store.ensure(reference, { pullSecrets: bad })).rejects.toEqual(wrong(/pull secret/))
    expect(await kernelOf(store, reference, { pullSecrets: good })).toBe('a kernel')
    const asked = registry.seen.length
    expect(await kernelOf(store, reference, { pullSecrets: good })).toBe('a kernel')
    expect(registry.seen).toHaveLength(asked)
    // It is here now, and still only for those whom the registry lets in.
    await expect(store.ensure(reference)).rejects.toEqual(wrong(/login|token/))
    await expect(store.ensure(reference, { pullSecrets: bad })).rejects.toEqual(wrong(/pull secret/))
    const both = { stale: bad.mine, good: good.mine }
    expect(await kernelOf(store, reference, { pullSecrets: both, policy: 'Always' })).toBe('a kernel')
  },
)

test('no error shows a password', async () => {
  const { registry, store } = await setUp({ login: { ...login, scheme: 'bearer' } })
  const reference = registry.push('team/private', 'v1', await hello)
  const pullSecrets = { mine: pullSecret(registry.address, login.user, 'secret-word') }
  const error: unknown = await store.ensure(reference, { pullSecrets }).catch((thrown: unknown) => thrown)
  const encoded = Buffer.from(`${login.user}:secret-word`).toString('base64')
  for (let each = error; each instanceof Error; each = each.cause) {
    expect(`${each.message} ${each.stack}`).not.toMatch(new RegExp(`secret-word|${encoded}`))
  }
})

test('a redirect to another host is followed without credentials, and its questions are not answered', async () => {
  const { registry } = await setUp({ login: { ...login, scheme: 'bearer' } })
  const mirror = open.use(await TestRegistry.start())
  const both = new Agent({ connect: { rejectUnauthorized: false } })
  open.defer(async () => both.destroy())
  const trusting = open.use(await openTestStore({ dispatcher: both }))
  const image = await hello
  const reference = registry.push('team/private', 'v1', image)
  mirror.push('team/private', 'v1', image)
  registry.faults.push((request, response, path) => {
    if (!path.includes('/blobs/') || !request.headers.authorization) return false
    response.writeHead(307, { location: `${mirror.origin}${path}?signature=x` }).end()
    return true
  })
  mirror.faults.push((_request, response, path) => {
    const digest = /sha256:[0-9a-f]+/.exec(path)?.[0]
    const blob = image.blobs.find(({ descriptor }) => descriptor.digest === digest)
    response.writeHead(blob ? 200 : 404).end(blob?.bytes)
    return true
  })
  const pullSecrets = { mine: pullSecret(registry.address, login.user, login.password) }
  expect(await kernelOf(trusting.store, reference, { pullSecrets })).toBe('a kernel')
  expect(mirror.seen.length).toBe(3)
  expect(mirror.seen.map(({ authorization }) => authorization)).toEqual([undefined, undefined, undefined])

  mirror.faults.unshift((_request, response) => {
    const challenge = `Bearer realm="${mirror.origin}/token",service="x"`
    response.writeHead(401, { 'www-authenticate': challenge }).end()
    return true
  })
  const again = open.use(await openTestStore({ dispatcher: both }))
  await expect(again.store.ensure(reference, { pullSecrets })).rejects.toEqual(wrong(/401/))
  expect(mirror.asked('/token')).toEqual([])
  expect(mirror.seen.every(({ authorization }) => authorization === undefined)).toBe(true)
})

test('neither a redirect nor a token request leaves TLS', async () => {
  const { registry, store } = await setUp({ login: { ...login, scheme: 'bearer' } })
  const plain = open.use(await TestRegistry.start({ plain: true }))
  const reference = registry.push('team/private', 'v1', await hello)
  const pullSecrets = { mine: pullSecret(registry.address, login.user, login.password) }
  registry.faults.push((_request, response) => {
    response.writeHead(401, { 'www-authenticate': `Bearer realm="${plain.origin}/token"` }).end()
    return true
  })
  await expect(store.ensure(reference, { pullSecrets })).rejects.toEqual(wrong(/not encrypted/))
  registry.faults[0] = (_request, response) => {
    response.writeHead(307, { location: `${plain.origin}/v2/` }).end()
    return true
  }
  await expect(store.ensure(reference, { pullSecrets })).rejects.toEqual(wrong(/not encrypted/))
  expect(plain.seen).toEqual([])
})

test('a registry without TLS is used only where it is listed', async () => {
  const plain = open.use(await TestRegistry.start({ plain: true }))
  const reference = plain.push('team/hello', 'v1', await hello)
  const strict = open.use(await openTestStore())
  await expect(strict.store.ensure(reference)).rejects.toEqual(wrong(/insecure registries/))
  const listed = open.use(await openTestStore({ insecureRegistries: [plain.address] }))
  expect(await kernelOf(listed.store, reference)).toBe('a kernel')
})

test('a registry with a certificate of unknown origin is refused', async () => {
  const registry = open.use(await TestRegistry.start())
  const { store, waits } = open.use(await openTestStore())
  const reference = registry.push('team/hello', 'v1', await hello)
  await expect(store.ensure(reference)).rejects.toEqual(wrong(/certificate/))
  expect(waits).toEqual([])
})

test.each([
  ['answers 500', 500, {}, [500, 1000]],
  ['answers 503', 503, {}, [500, 1000]],
  ['asks for patience', 429, { 'retry-after': '7' }, [7000, 7000]],
  ['asks for a lot of patience', 429, { 'retry-after': '7000' }, [30_000, 30_000]],
])('a registry that %s twice is asked a third time', async (_what, code, headers, expected) => {
  const { registry, store, waits } = await setUp()
  const reference = registry.push('team/hello', 'v1', await hello)
  let left = 2
  registry.faults.push((_request, response) => {
    if (left === 0) return false
    left -= 1
    response.writeHead(code, headers).end()
    return true
  })
  expect(await kernelOf(store, reference)).toBe('a kernel')
  expect(waits).toEqual(expected)
})

test('a registry that never recovers is given up, with what it said', async () => {
  const { registry, store, waits } = await setUp()
  const reference = registry.push('team/hello', 'v1', await hello)
  registry.faults.push((_request, response) => {
    response.writeHead(502).end()
    return true
  })
  await expect(store.ensure(reference)).rejects.toEqual(wrong(/HTTP 502/))
  expect(waits).toEqual([500, 1000, 2000, 4000])
})

test('an image that is not there is not asked for twice', async () => {
  const { registry, store } = await setUp()
  await expect(store.ensure(`${registry.address}/no/such:v1`)).rejects.toEqual(wrong(/check the name/))
  expect(registry.seen).toHaveLength(1)
})

test('a host that does not answer is named', async () => {
  const { store, waits } = open.use(await openTestStore())
  await expect(store.ensure('localhost:1/image:v1')).rejects.toEqual(
    wrong(/https:\/\/localhost:1: .*ECONNREFUSED/),
  )
  expect(waits).toHaveLength(4)
})

test.each([
  ['is cut off', (bytes: Buffer) => bytes.subarray(0, 10), /broke off|ended after 10/],
  [
    'has one byte changed',
    (bytes: Buffer) => Buffer.concat([Buffer.from([bytes[0]! ^ 1]), bytes.subarray(1)]),
    /digest/,
  ],
  ['is too long', (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(100_000)]), /longer/],
])('a blob that %s is fetched again, and never kept', async (_what, spoil, message) => {
  const { registry, store } = await setUp()
  const image = await hello
  const reference = registry.push('team/hello', 'v1', image)
  const layer = image.blobs.at(-1)!
  let left = 1
  registry.faults.push((_request, response, path) => {
    if (left === 0 || !path.endsWith(layer.descriptor.digest)) return false
    left -= 1
    // Without a length, so that the client sees a whole answer.
    response.writeHead(200).end(spoil(layer.bytes))
    return true
  })
  expect(await kernelOf(store, reference)).toBe('a kernel')

  left = 100
  const again = open.use(await openTestStore({ dispatcher: registry.agent }))
  await expect(again.store.ensure(reference)).rejects.toEqual(wrong(message))
  expect(await readdir(join(again.dir, 'blobs', 'sha256'))).not.toContain(layer.descriptor.digest.slice(7))
  expect(await readdir(join(again.dir, 'references'))).toEqual([])
})

test('a connection that breaks in the middle of a blob is made again', async () => {
  const { registry, store } = await setUp()
  const image = await hello
  const reference = registry.push('team/hello', 'v1', image)
  let left = 2
  registry.faults.push((_request, response, path) => {
    if (left === 0 || !path.includes('/blobs/')) return false
    left -= 1
    response.writeHead(200, { 'content-length': 1000 }).write('abc', () => response.destroy())
    return true
  })
  expect(await kernelOf(store, reference)).toBe('a kernel')
})

test('a manifest other than the one asked for is refused', async () => {
  const { registry, store } = await setUp()
  const image = await hello
  registry.push('team/hello', 'v1', image)
  registry.faults.push((_request, response, path) => {
    if (!path.includes('/manifests/')) return false
    response
      .writeHead(200, { 'content-type': image.manifest.descriptor.mediaType })
      .end(`${String(image.manifest.bytes)} `)
    return true
  })
  const reference = `${registry.address}/team/hello@${image.manifest.descriptor.digest}`
  await expect(store.ensure(reference)).rejects.toEqual(wrong(/has the digest/))
})

test.each([
  ['no JSON', '<html>', /not JSON/],
  ['both an image and an index', '{"schemaVersion":2,"manifests":[],"layers":[]}', /both/],
  ['of version 1', '{"schemaVersion":1,"fsLayers":[]}', /old format/],
  [
    'a chart',
    '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{},"layers":[{"mediaType":"application/vnd.cncf.helm.chart.content.v1.tar+gzip","digest":"x","size":1}]}',
    /only sha256|not a tar/,
  ],
  [
    'without layers',
    '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]}',
    /no layers/,
  ],
  [
    'with a digest that is a path',
    '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"x","digest":"sha256:../../../etc/passwd","size":1},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:../../x","size":1}]}',
    /only sha256/,
  ],
])('a manifest that is %s is rejected', async (_what, text, message) => {
  const { registry, store } = await setUp()
  const type = 'application/vnd.oci.image.manifest.v1+json'
  const reference = registry.push('team/odd', 'v1', {
    manifest: makeBlob(type, Buffer.from(text)),
    blobs: [],
  })
  await expect(store.ensure(reference)).rejects.toEqual(wrong(message, 'ImageRejected'))
})

test('a manifest without end is not read to the end', async () => {
  const { registry, store } = await setUp()
  let sent = 0
  registry.faults.push((_request, response) => {
    const more = () => {
      sent += 65_536
      if (sent < 64 * 1024 * 1024 && !response.destroyed) response.write(Buffer.alloc(65_536, ' '), more)
      else response.end()
    }
    more()
    return true
  })
  await expect(store.ensure(`${registry.address}/team/big:v1`)).rejects.toEqual(wrong(/over 4194304/))
  expect(sent).toBeLessThan(32 * 1024 * 1024)
})

test('an image over the limit, or that says it needs more room than there is, is not fetched', async () => {
  const { registry, store } = await setUp({}, { maxImageBytes: 100 })
  const reference = registry.push('team/hello', 'v1', await hello)
  await expect(store.ensure(reference)).rejects.toEqual(wrong(/images may have/, 'ImageRejected'))
  const image = await hello
  const huge = JSON.parse(String(image.manifest.bytes))
  huge.layers[0].size = 2 ** 50
  const claim = {
    manifest: makeBlob(image.manifest.descriptor.mediaType, Buffer.from(JSON.stringify(huge))),
    blobs: [],
  }
  const second = open.use(await openTestStore({ dispatcher: registry.agent, maxImageBytes: 2 ** 52 }))
  await expect(second.store.ensure(registry.push('team/huge', 'v1', claim))).rejects.toEqual(
    wrong(/to spare/),
  )
  expect(registry.asked('/blobs/')).toEqual([])
})

test('the reserved registry is never asked', async () => {
  const { store } = open.use(await openTestStore())
  const reference = 'virtgate.local/hello-guest:latest'
  await expect(store.ensure(reference, { policy: 'Always' })).rejects.toEqual(
    wrong(/npm start/, 'ErrImageNeverPull'),
  )
  await store.import(reference, [{ path: '/boot/vmlinuz', data: 'made here' }])
  expect(await kernelOf(store, reference, { policy: 'Always' })).toBe('made here')
})

test('an imported image is the same each time, and takes files from the disk', async () => {
  const { store, dir } = open.use(await openTestStore())
  const file = join(dir, 'source')
  await writeFile(file, Buffer.alloc(300_000, 'k'))
  const files = [
    { path: '/boot/vmlinuz', file, mode: 0o600 },
    { path: '/boot/initrd.img', data: Buffer.from('i') },
  ]
  const first = await store.import('local/one:1', files)
  const second = await store.import('local/two:1', files)
  expect(second.digest).toBe(first.digest)
  expect((await readFile(await store.file(first, '/boot/vmlinuz'))).length).toBe(300_000)
  await expect(store.import('local/bad:1', [{ path: '../up', data: '' }])).rejects.toEqual(
    wrong(/no path/, 'ImageRejected'),
  )
  await expect(store.import('local/bad:1', [{ path: '/x', file: join(dir, 'absent') }])).rejects.toThrow(
    /ENOENT/,
  )
})

test('a store that is opened again has its images, and no leftovers of a process that is gone', async () => {
  const { registry, store, dir } = await setUp()
  const reference = registry.push('team/hello', 'v1', await hello)
  await store.ensure(reference)
  const leftover = join(dir, 'scratch', '1-0')
  await mkdir(leftover)
  await writeFile(join(leftover, 'half'), 'x')
  const again = open.use(await openImageStore({ dir, log: { info: () => {}, warn: () => {} } }))
  expect(await kernelOf(again, reference, { policy: 'Never' })).toBe('a kernel')
  await expect(stat(leftover)).rejects.toThrow(/ENOENT/)
})

test('an image of which a blob has gone is pulled again', async () => {
  const { registry, store, dir } = await setUp()
  const image = await hello
  const reference = registry.push('team/hello', 'v1', image)
  await store.ensure(reference)
  await rm(join(dir, 'blobs', 'sha256', image.blobs[1]!.descriptor.digest.slice(7)))
  await store.ensure(reference)
  expect(registry.asked('/blobs/')).toHaveLength(4)
})

test('what guests open is read-only for all, and the rest is for us alone', async () => {
  const { store, dir } = open.use(await openTestStore())
  await chmod(dir, 0o755)
  const image = await store.import('local/one:1', [{ path: '/boot/vmlinuz', data: 'k', mode: 0o777 }])
  const { mode } = await stat(await store.file(image, '/boot/vmlinuz'))
  expect(mode & 0o777).toBe(0o444)
  for (const folder of ['blobs/sha256', 'references', 'scratch']) {
    expect((await stat(join(dir, folder))).mode & 0o077).toBe(0)
  }
  expect((await stat(join(dir, 'extracted'))).mode & 0o777).toBe(0o711)
})
