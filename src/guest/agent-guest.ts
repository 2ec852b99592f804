import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { CpioEntry } from './cpio.ts'
import {
  type PackageSet,
  PackagesUnavailable,
  type TaskOptions,
  fetchPackages,
  unpackPackages,
} from './debian.ts'
import { buildCached, firstThere, type GuestImage } from './guest-image.ts'
import { fileEntry, folderEntry } from './initramfs.ts'

/** Reference under which tests look for the guest that has an agent. Its registry is never asked. */
export const AGENT_GUEST_REFERENCE = 'virtgate.local/agent-guest:latest'

/** Packages by what is taken of them. */
const ROOTS = ['qemu-guest-agent', 'inetutils-inetd', 'e2fsprogs', 'base-files']
/** Programs: file in the packages → path in the guest, whose `sbin` is its `bin`. */
const PROGRAMS: Record<string, string> = {
  'usr/sbin/qemu-ga': 'bin/qemu-ga',
  'usr/sbin/inetutils-inetd': 'bin/inetd',
  'sbin/mke2fs': 'bin/mkfs.ext4',
}
/** Texts: file in the packages → path in the guest. */
const TEXTS: Record<string, string> = {
  'usr/lib/os-release': 'etc/os-release',
  'etc/mke2fs.conf': 'etc/mke2fs.conf',
}
const SCRIPT = new URL('agent.sh', import.meta.url)

const AGENT_PACKAGES: PackageSet = {
  folder: 'agent-1',
  size: 'about 6 MB',
  resolve: async (depends) => withLibraries(ROOTS, depends),
}

/**
 * The small guest with Debian's `qemu-guest-agent`, an echo service and a user who is logged in; `agent.sh` lists what
 * else. Made once, in about two seconds, and then taken from the cache. Throws `PackagesUnavailable`.
 */
export async function buildAgentGuest(options: TaskOptions): Promise<GuestImage> {
  const packages = await fetchPackages(options)
  const agent = await fetchPackages(options, AGENT_PACKAGES)
  const recipe = JSON.stringify([agent.names, PROGRAMS, TEXTS, await readFile(SCRIPT, 'utf8')])
  return buildCached(packages, recipe, options, async (scratch) => {
    const root = join(scratch, 'agent')
    await unpackPackages(agent, root, options.signal)
    return agentEntries(root)
  })
}

async function withLibraries(
  roots: readonly string[],
  depends: (name: string) => Promise<string[]>,
): Promise<string[]> {
  const found = new Set(roots)
  let news = [...roots]
  while (news.length > 0) {
    const needed = (await Promise.all(news.map(depends))).flat()
    news = [...new Set(needed)].filter((name) => /^(lib|zlib)/.test(name) && !found.has(name))
    for (const name of news) found.add(name)
  }
  return [...found]
}

/** Programs with the libraries they need, texts, and the script that puts them to use. */
async function agentEntries(root: string): Promise<CpioEntry[]> {
  const files = await readdir(root, { recursive: true, withFileTypes: true })
  const loader = files.find(({ name, parentPath }) => isLoader(name) && !parentPath.includes('/doc/'))
  if (!loader) throw new PackagesUnavailable(`no dynamic loader in ${root}`)
  const loaderPath = join(loader.parentPath, loader.name)
  const folders = [
    ...new Set(files.filter(({ name }) => /\.so\.\d/.test(name)).map((each) => each.parentPath)),
  ]
  const libraries = new Map<string, string>()
  const entries: CpioEntry[] = []
  for (const [from, to] of Object.entries(PROGRAMS)) {
    const program = await firstThere(root, [from])
    for (const [path, file] of await librariesOf(program, loaderPath, folders)) libraries.set(path, file)
    entries.push(fileEntry(to, await readFile(program), 0o755))
  }
  for (const [from, to] of Object.entries(TEXTS)) {
    entries.push(fileEntry(to, await readFile(await firstThere(root, [from]))))
  }
  const homes = [...new Set([...libraries.keys()].map((path) => dirname(path)))].filter(
    (home) => home !== 'lib',
  )
  entries.push(...homes.map(folderEntry))
  for (const [path, file] of libraries) entries.push(fileEntry(path, await readFile(file), 0o755))
  return [...entries, fileEntry('etc/agent.sh', await readFile(SCRIPT))]
}

function isLoader(name: string): boolean {
  return /^ld-linux.*\.so\.\d+$/.test(name)
}

/**
 * The libraries of a program: path in the guest → file. The packages' own loader says so, which runs on this machine
 * as it is of the same architecture. Source: `--list` in ld.so(8).
 */
async function librariesOf(
  program: string,
  loader: string,
  folders: readonly string[],
): Promise<[string, string][]> {
  const args = ['--library-path', folders.join(':'), '--list', program]
  const { stdout } = await promisify(execFile)(loader, args)
  return stdout.split('\n').flatMap((line): [string, string][] => {
    const [name, file] = line
      .replace(/\(0x[0-9a-f]+\)/, '')
      .split('=>', 2)
      .map((part) => part.trim())
    if (!name || (!file && !name.startsWith('/'))) return []
    // The loader has to be where programs look for it, and looks for all others in `lib`.
    if (isLoader(basename(name))) return [[name.replace(/^\//, ''), loader]]
    return file ? [[`lib/${name}`, file]] : []
  })
}
