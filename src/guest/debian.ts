import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** The packages could not be had. The message says what to do. */
export class PackagesUnavailable extends Error {
  override readonly name = 'PackagesUnavailable'
}

/** How a long task is told about and ended. */
export interface TaskOptions {
  /** Folder that is kept from one call to the next. */
  cacheDir: string
  /** Called with a short line for people at each step. */
  onProgress?: ((text: string) => void) | undefined
  signal?: AbortSignal | undefined
}

/** Downloaded packages. */
export interface DebianPackages {
  /** Folder with nothing else in it. */
  folder: string
  /** `NAME_VERSION` of each, the kernel first. */
  names: string[]
}

/** Where packages and guests are kept where the user names nothing: `$XDG_CACHE_HOME/virtgate`. */
export function defaultCacheDir(env: NodeJS.ProcessEnv = process.env): string {
  return join(env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'virtgate')
}

/** Debian's name of this machine's architecture. Throws where there is no guest for it. */
export function debianArch(arch: string = process.arch): 'amd64' | 'arm64' {
  if (arch === 'x64') return 'amd64'
  if (arch === 'arm64') return 'arm64'
  throw new PackagesUnavailable(`there is no guest for ${arch}: only for x64 and arm64`)
}

/** Packages that depend on the newest kernel; the first that apt knows is taken. The last is Ubuntu's. */
const KERNELS = (arch: string) => [`linux-image-cloud-${arch}`, `linux-image-${arch}`, 'linux-image-virtual']

const BUSYBOX = 'busybox-static'

/** Packages that belong together and are kept together. */
export interface PackageSet {
  /** Name of their folder in the cache: a letter more or less makes it another set. */
  folder: string
  /** How much there is to download, for people. */
  size: string
  /** Their names, by apt's lists; `depends` answers what a package needs. */
  resolve: (depends: (name: string) => Promise<string[]>) => Promise<string[]>
}

/** Kernel and busybox: what the small guest is made of. */
const SMALL_GUEST: PackageSet = {
  folder: '',
  size: 'about 30 MB',
  resolve: async (depends) => [...(await resolveKernel(depends)), BUSYBOX],
}

/**
 * A set of packages, the kernel and busybox where none is named: from the cache, where they are since an earlier
 * call, else from apt's sources.
 *
 * apt checks them against its signed lists. Nothing is installed and no root rights are needed. Where the lists
 * are missing or older than the archive, fresh ones are fetched into a folder of our own.
 * Throws `PackagesUnavailable`.
 */
export async function fetchPackages(
  options: TaskOptions,
  set: PackageSet = SMALL_GUEST,
): Promise<DebianPackages> {
  const { cacheDir, onProgress } = options
  const folder = join(cacheDir, 'debian', [debianArch(), set.folder].filter(Boolean).join('-'))
  const cached = await readNames(folder)
  if (cached) return { folder, names: cached }

  const scratch = await openScratch(cacheDir)
  try {
    const names = await download(scratch, set, options)
    await writeFile(join(scratch, 'names.json'), JSON.stringify(names))
    await mkdir(join(cacheDir, 'debian'), { recursive: true })
    await moveUnlessThere(scratch, folder)
    onProgress?.(`packages kept in ${folder}`)
    // Another process may have been faster with other versions; what stands there now counts.
    return { folder, names: (await readNames(folder)) ?? names }
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

/** Unpacks packages into `target`, running none of their scripts. */
export async function unpackPackages(
  { folder }: DebianPackages,
  target: string,
  signal?: AbortSignal,
): Promise<void> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.deb')).sort()
  for (const file of files) await run('dpkg-deb', ['-x', join(folder, file), target], { signal })
}

const SCRATCH = 'tmp-'
/** Nobody works in one for that long: it was left behind by a process that was killed. */
const ABANDONED_MS = 60 * 60 * 1000

/** A new folder below `cacheDir`, on the same file system, so that it can be renamed into place. */
export async function openScratch(cacheDir: string): Promise<string> {
  await mkdir(cacheDir, { recursive: true })
  for (const name of await readdir(cacheDir)) {
    const path = join(cacheDir, name)
    if (!name.startsWith(SCRATCH)) continue
    // Its owner may remove it at any moment.
    const found = await stat(path).catch(() => undefined)
    if (found && Date.now() - found.mtimeMs > ABANDONED_MS) await rm(path, { recursive: true, force: true })
  }
  return mkdtemp(join(cacheDir, SCRATCH))
}

/** Gives a finished folder its final name. One that stands there already is as good, and stays. */
export async function moveUnlessThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException // fs throws nothing else
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error
  }
}

async function readNames(folder: string): Promise<string[] | undefined> {
  try {
    return JSON.parse(await readFile(join(folder, 'names.json'), 'utf8')) as string[] // written above
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function download(
  scratch: string,
  set: PackageSet,
  { onProgress, signal }: TaskOptions,
): Promise<string[]> {
  let first: unknown
  try {
    return await downloadWith([], scratch, set, { onProgress, signal })
  } catch (error) {
    if (signal?.aborted || isMissingProgram(error)) throw explain(error)
    first = error
  }
  onProgress?.('package lists are missing or old: fetching new ones …')
  const lists = join(scratch, 'lists')
  const ownLists = ['-o', `Dir::State::lists=${lists}`, '-o', `Dir::Cache=${join(lists, 'cache')}`]
  try {
    await mkdir(join(lists, 'partial'), { recursive: true })
    await mkdir(join(lists, 'cache', 'archives', 'partial'), { recursive: true })
    await run('apt-get', [...COMMON, ...ownLists, 'update'], { signal })
    return await downloadWith(ownLists, scratch, set, { onProgress, signal })
  } catch (error) {
    // Without a network, `apt-get update` succeeds and then knows nothing: the first try says more.
    throw explain(error instanceof UnknownPackage ? first : error)
  } finally {
    await rm(lists, { recursive: true, force: true })
  }
}

/** The scratch folder is ours alone, so apt's own download user could not write there. */
const COMMON = process.getuid?.() === 0 ? ['-o', 'APT::Sandbox::User=root', '-q'] : ['-q']

async function downloadWith(
  lists: string[],
  scratch: string,
  { resolve, size }: PackageSet,
  { onProgress, signal }: Omit<TaskOptions, 'cacheDir'>,
): Promise<string[]> {
  const names = await resolve(async (name) => dependencies(name, lists, signal))
  onProgress?.(`downloading ${names.join(', ')} (${size}) …`)
  await run('apt-get', [...COMMON, ...lists, 'download', ...names], { signal, cwd: scratch })
  const files = (await readdir(scratch)).filter((file) => file.endsWith('.deb'))
  return names.map((name) => {
    const file = files.find((each) => each.startsWith(`${name.split('=')[0]}_`))
    if (file === undefined) throw new Error(`apt-get download brought no ${name}`)
    return file.replace(/_[^_]*\.deb$/, '')
  })
}

/** The packages that hold the newest kernel and its modules. */
async function resolveKernel(depends: (name: string) => Promise<string[]>): Promise<string[]> {
  for (const meta of KERNELS(debianArch())) {
    const found = await depends(meta)
    const images = found.filter((name) => /^linux-image-\d/.test(name))
    if (images.length === 0) continue
    // Ubuntu keeps the modules apart.
    const nested = await Promise.all(images.map(depends))
    return [...images, ...nested.flat().filter((name) => /^linux-modules-\d/.test(name))]
  }
  throw new UnknownPackage(`apt knows none of ${KERNELS(debianArch()).join(', ')}`)
}

/** apt's lists do not have it. */
class UnknownPackage extends Error {
  override readonly name = 'UnknownPackage'
}

/** First alternative of each dependency of a package's newest version; none where apt does not know it. */
async function dependencies(name: string, lists: string[], signal?: AbortSignal): Promise<string[]> {
  const args = [...lists, 'show', '--no-all-versions', name]
  const text = await run('apt-cache', args, { signal }).catch((error: unknown) => {
    if (isExitCode(error, 100)) return ''
    throw error
  })
  const found = [...text.matchAll(/^(?:Pre-)?Depends: (.*)$/gm)]
  return found.flatMap(([, list = '']) => list.split(',')).map((each) => each.trim().split(/[ (|:]/)[0] ?? '')
}

interface RunOptions {
  signal?: AbortSignal | undefined
  cwd?: string
}

async function run(program: string, args: string[], { signal, cwd }: RunOptions): Promise<string> {
  const { stdout } = await promisify(execFile)(program, args, {
    env: ownEnvironment(),
    maxBuffer: 64 * 1024 * 1024,
    ...(cwd !== undefined && { cwd }),
    ...(signal && { signal }),
  })
  return stdout
}

/** What apt may see of our environment: where programs are, and the way to the network. */
function ownEnvironment(): NodeJS.ProcessEnv {
  const wanted = ['PATH', 'HOME', 'TMPDIR', 'http_proxy', 'https_proxy', 'no_proxy']
  const kept = Object.entries(process.env).filter(([name]) => wanted.includes(name))
  return { ...Object.fromEntries(kept), LC_ALL: 'C' }
}

function isMissingProgram(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === 'ENOENT'
}

function isExitCode(error: unknown, code: number): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function explain(cause: unknown): unknown {
  if (cause instanceof Error && cause.name === 'AbortError') return cause
  if (isMissingProgram(cause)) {
    return new PackagesUnavailable(
      'the guest is made from Debian packages, and this system has no apt: boot an image of your own, or copy ' +
        '~/.cache/virtgate from a Debian or Ubuntu machine of the same architecture',
      { cause },
    )
  }
  const stderr = cause instanceof Error && 'stderr' in cause ? String(cause.stderr) : reasonOf(cause)
  const lines = stderr.split('\n').filter((line) => /^(E|Err|W|Error):|^Error/.test(line))
  return new PackagesUnavailable(
    `cannot download the guest's packages: ${lines.slice(-3).join('; ') || stderr.trim()}. Check the network and ` +
      'the sources in /etc/apt, then run this again; once downloaded, they are kept for offline use',
    { cause },
  )
}
