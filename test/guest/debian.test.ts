import { chmod, mkdir, mkdtemp, readFile, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { PackagesUnavailable, debianArch, defaultCacheDir, fetchPackages } from '../../src/guest/debian.ts'

let folder: string
let programs: string
const cacheDir = () => join(folder, 'cache')

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'virtgate-debian-'))
  programs = join(folder, 'bin')
  await mkdir(programs)
  vi.stubEnv('PATH', `${programs}:${process.env.PATH}`)
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await rm(folder, { recursive: true, force: true })
})

/** Puts a shell script in the way of a program; what it is called with is written to `calls`. */
async function standIn(program: string, script: string): Promise<void> {
  const path = join(programs, program)
  await writeFile(path, `#!/bin/sh\necho "${program} $*" >>${join(folder, 'calls')}\n${script}\n`)
  await chmod(path, 0o755)
}

const calls = async () => (await readFile(join(folder, 'calls'), 'utf8')).trim().split('\n')

const APT_CACHE = `
case "$*" in
  *linux-image-cloud-*) echo 'Package: x'; echo 'Depends: linux-image-6.1.0-9-cloud-test (= 6.1), x | y';;
  *linux-image-6.1.0-9*) echo 'Depends: kmod, linux-modules-6.1.0-9-test';;
  *) exit 100;;
esac`

/** Makes an empty file for each package that is asked for. */
const APT_GET = `
case "$*" in *" update") exit 0;; esac
for name; do case $name in -*|*=*|download) ;; *) : >"\${name}_1.0_test.deb";; esac; done`

test('the packages that the newest kernel consists of are fetched once, and then taken from the cache', async () => {
  await standIn('apt-cache', APT_CACHE)
  await standIn('apt-get', APT_GET)
  const names = ['linux-image-6.1.0-9-cloud-test_1.0', 'linux-modules-6.1.0-9-test_1.0', 'busybox-static_1.0']
  const progress: string[] = []
  const first = await fetchPackages({ cacheDir: cacheDir(), onProgress: (text) => progress.push(text) })
  expect(first.names).toEqual(names)
  expect(await readdir(first.folder)).toEqual(
    [...names.map((name) => `${name}_test.deb`), 'names.json'].toSorted(),
  )
  expect(progress.join('\n')).toMatch(/downloading .*busybox-static/)
  const asked = (await calls()).length

  await standIn('apt-cache', 'exit 1')
  await standIn('apt-get', 'exit 1')
  expect(await fetchPackages({ cacheDir: cacheDir() })).toEqual(first)
  expect(await calls()).toHaveLength(asked)
  expect(await readdir(cacheDir())).toEqual(['debian'])
})

test('old package lists are passed over for new ones in a folder of our own, which goes again', async () => {
  await standIn('apt-cache', APT_CACHE)
  await standIn(
    'apt-get',
    `case "$*" in *Dir::State::lists=*) ;; *) echo 'E: 404' >&2; exit 100;; esac\n${APT_GET}`,
  )
  const { folder: kept } = await fetchPackages({ cacheDir: cacheDir() })
  const updates = (await calls()).filter((call) => call.endsWith(' update'))
  expect(updates).toEqual([expect.stringContaining(`Dir::State::lists=${cacheDir()}`)])
  expect(await readdir(kept)).not.toContain('lists')
})

test('what apt says is passed on, with what to do, and nothing is left behind', async () => {
  await standIn('apt-cache', APT_CACHE)
  await standIn('apt-get', "echo 'E: Unable to connect to the archive' >&2; exit 100")
  const failed = fetchPackages({ cacheDir: cacheDir() })
  await expect(failed).rejects.toThrow(PackagesUnavailable)
  await expect(failed).rejects.toThrow(/Unable to connect to the archive.*Check the network/)
  expect(await readdir(cacheDir())).toEqual([])
})

test('a kernel that apt does not know is named', async () => {
  await standIn('apt-cache', 'exit 100')
  await standIn('apt-get', 'exit 0')
  await expect(fetchPackages({ cacheDir: cacheDir() })).rejects.toThrow(/knows none of linux-image-cloud-/)
})

test('a system without apt is told so', async () => {
  vi.stubEnv('PATH', programs)
  await expect(fetchPackages({ cacheDir: cacheDir() })).rejects.toThrow(/has no apt/)
})

test('a download that is given up leaves nothing', async () => {
  await standIn('apt-cache', APT_CACHE)
  await standIn('apt-get', 'exec sleep 60')
  const controller = new AbortController()
  const onProgress = () => controller.abort(new Error('gone home'))
  const failed = fetchPackages({ cacheDir: cacheDir(), onProgress, signal: controller.signal })
  await expect(failed).rejects.toMatchObject({ name: 'AbortError' })
  expect(await readdir(cacheDir())).toEqual([])
})

test('what a killed process left behind goes after an hour, and not before', async () => {
  await standIn('apt-cache', APT_CACHE)
  await standIn('apt-get', APT_GET)
  const [old, young] = [join(cacheDir(), 'tmp-old'), join(cacheDir(), 'tmp-young')]
  await mkdir(old, { recursive: true })
  await mkdir(young)
  const longAgo = Date.now() / 1000 - 2 * 60 * 60
  await utimes(old, longAgo, longAgo)
  await fetchPackages({ cacheDir: cacheDir() })
  expect(await readdir(cacheDir())).toEqual(['debian', 'tmp-young'])
})

test('apt sees the way to the network, and nothing else of our environment', async () => {
  vi.stubEnv('http_proxy', 'http://proxy.example')
  vi.stubEnv('VIRTGATE_TEST_SECRET', 'secret')
  await standIn('apt-cache', `env >>${join(folder, 'environment')}\n${APT_CACHE}`)
  await standIn('apt-get', APT_GET)
  await fetchPackages({ cacheDir: cacheDir() })
  const environment = await readFile(join(folder, 'environment'), 'utf8')
  expect(environment).toContain('http_proxy=http://proxy.example')
  expect(environment).not.toContain('secret')
})

test('another set of packages is kept apart, and is asked for with all that its packages need', async () => {
  await standIn(
    'apt-cache',
    `case "$*" in *root) echo 'Pre-Depends: libc6 (>= 2.3)'; echo 'Depends: liba:any, x | y';; esac`,
  )
  await standIn('apt-get', APT_GET)
  const set = {
    folder: 'more',
    size: '1 MB',
    resolve: async (depends: (name: string) => Promise<string[]>) => ['root', ...(await depends('root'))],
  }
  const { folder: kept, names } = await fetchPackages({ cacheDir: cacheDir() }, set)
  expect(names).toEqual(['root_1.0', 'libc6_1.0', 'liba_1.0', 'x_1.0'])
  expect(kept).toBe(join(cacheDir(), 'debian', `${debianArch()}-more`))
})

test('Debian names of architectures, and of the folder for what is kept', () => {
  expect([debianArch('x64'), debianArch('arm64')]).toEqual(['amd64', 'arm64'])
  expect(() => debianArch('riscv64')).toThrow(/riscv64/)
  expect(defaultCacheDir({ XDG_CACHE_HOME: '/c' })).toBe('/c/virtgate')
})
