import { X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { isSignedBy } from '../../certs/inspect.ts'
import { openCertificateStore } from '../../certs/store.ts'

const START = new Date('2030-01-01T00:00:00Z')
const DAY_MS = 24 * 60 * 60 * 1000

async function newDir(): Promise<string> {
  return join(await mkdtemp(join(tmpdir(), 'virtgate-pki-')), 'pki')
}

function open(dir: string, daysLater = 0, hosts = ['localhost', '127.0.0.1'], workers = ['node01']) {
  const now = () => new Date(START.getTime() + daysLater * DAY_MS)
  return openCertificateStore({
    dir,
    hosts,
    workers,
    now,
    onError: (error) => {
      throw error
    },
  })
}

test('keys are private, and so is the folder', async () => {
  const dir = await newDir()
  using store = await open(dir)
  expect(store.current().ca).toContain('BEGIN CERTIFICATE')
  expect((await stat(dir)).mode & 0o777).toBe(0o700)
  const names = await readdir(dir)
  expect(names).toContain('ca.key')
  expect(names).toContain('service-account.key')
  expect(names.filter((name) => name.endsWith('.tmp'))).toEqual([])
  for (const name of names) expect((await stat(join(dir, name))).mode & 0o777).toBe(0o600)
})

test('what is good is used again', async () => {
  const dir = await newDir()
  using first = await open(dir)
  using second = await open(dir, 1)
  expect(second.current()).toEqual(first.current())
})

test('a leaf past two thirds of its life is replaced under the same authority', async () => {
  const dir = await newDir()
  using first = await open(dir)
  using before = await open(dir, 243)
  using after = await open(dir, 244)
  expect(before.current().serving).toEqual(first.current().serving)
  expect(after.current().serving.cert).not.toBe(first.current().serving.cert)
  expect(after.current().ca).toBe(first.current().ca)
})

test('an authority past two thirds of its life gets a new certificate for its old key', async () => {
  const dir = await newDir()
  using first = await open(dir)
  using later = await open(dir, 2500)
  expect(later.current().ca).not.toBe(first.current().ca)
  expect(isSignedBy(later.current().serving.cert, first.current().ca)).toBe(true)
})

test('a host that is asked for anew gets into the serving certificate', async () => {
  const dir = await newDir()
  using first = await open(dir)
  using second = await open(dir, 0, ['localhost', '192.0.2.7', 'lab.example.org'])
  const serving = new X509Certificate(second.current().serving.cert)
  expect(serving.checkIP('192.0.2.7')).toBe('192.0.2.7')
  expect(serving.checkHost('lab.example.org')).toBe('lab.example.org')
  expect(second.current().admin).toEqual(first.current().admin)
})

test('a pair torn by a crash is made again', async () => {
  const dir = await newDir()
  using first = await open(dir)
  await writeFile(join(dir, 'admin.key'), first.current().serving.key)
  await writeFile(join(dir, 'serving.crt'), 'half a file')
  using second = await open(dir)
  for (const pair of [second.current().admin, second.current().serving]) {
    expect(isSignedBy(pair.cert, first.current().ca)).toBe(true)
  }
  expect(await readFile(join(dir, 'admin.key'), 'utf8')).toBe(second.current().admin.key)
})

test('an authority without its key is refused rather than replaced', async () => {
  const dir = await newDir()
  using first = await open(dir)
  await rm(join(dir, 'ca.key'))
  await expect(open(dir)).rejects.toThrow(/ca\.crt has no key that belongs to it/)
  expect(await readFile(join(dir, 'ca.crt'), 'utf8')).toBe(first.current().ca)
})

test('leaves of an authority that was replaced by hand are replaced, too', async () => {
  const dir = await newDir()
  using first = await open(dir)
  await rm(join(dir, 'ca.crt'))
  await rm(join(dir, 'ca.key'))
  using second = await open(dir)
  const { ca, admin, serving, controller } = second.current()
  expect([admin, serving].map(({ cert }) => isSignedBy(cert, ca))).toEqual([true, true])
  expect(controller).toEqual(first.current().controller)
})

test('an authority whose certificate was never written gets one for the key that was', async () => {
  const dir = await newDir()
  using first = await open(dir)
  await rm(join(dir, 'ca.crt'))
  using second = await open(dir)
  expect(isSignedBy(first.current().serving.cert, second.current().ca)).toBe(true)
})

test('roles have an authority of their own, a URI, and one use', async () => {
  using store = await open(await newDir())
  const { ca, internalCa, controller, apiserver, workers } = store.current()
  const worker = workers.get('node01')
  const rows = [controller, apiserver, worker].map((pair) => {
    const leaf = new X509Certificate(pair?.cert ?? '')
    return [leaf.subjectAltName, leaf.keyUsage]
  })
  expect(rows).toEqual([
    ['URI:spiffe://virtgate/controller', ['1.3.6.1.5.5.7.3.2']],
    ['URI:spiffe://virtgate/apiserver', ['1.3.6.1.5.5.7.3.2']],
    ['DNS:node01, URI:spiffe://virtgate/worker/node01', ['1.3.6.1.5.5.7.3.1']],
  ])
  expect(isSignedBy(controller.cert, internalCa)).toBe(true)
  expect(isSignedBy(controller.cert, ca)).toBe(false)
})

test('a node name that would leave the folder is refused', async () => {
  await expect(open(await newDir(), 0, [], ['../x'])).rejects.toThrow('is no DNS name')
})

test('listeners hear of a renewal and of nothing else', async () => {
  const dir = await newDir()
  let day = 0
  using store = await openCertificateStore({
    dir,
    hosts: ['localhost'],
    now: () => new Date(START.getTime() + day * DAY_MS),
    onError: () => {},
  })
  const heard: string[] = []
  const stop = store.onChange(({ serving }) => heard.push(serving.cert))
  await store.renew()
  expect(heard).toEqual([])
  day = 300
  await store.renew()
  expect(heard).toEqual([store.current().serving.cert])
  stop()
  day = 600
  await store.renew()
  expect(heard).toHaveLength(1)
})

test('a client certificate carries the name and the groups asked for', async () => {
  using store = await open(await newDir())
  const { cert } = await store.issueClient({ name: 'jane', groups: ['dev'], days: 1 })
  expect(new X509Certificate(cert).toLegacyObject().subject).toEqual({ O: 'dev', CN: 'jane' })
  expect(isSignedBy(cert, store.current().ca)).toBe(true)
})
