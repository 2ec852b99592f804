import { execFile } from 'node:child_process'
import { readFile, readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { gunzip, zstdDecompress } from 'node:zlib'

/** A kernel module, uncompressed, with what it says of itself. */
export interface KernelModule {
  /** Spelt with `_`, as the kernel lists it. */
  name: string
  data: Buffer
  /** Names of the modules that have to be there before it. */
  depends: string[]
  /** Patterns of the devices and file systems it serves. */
  aliases: string[]
}

/** The modules below one `lib/modules/VERSION`. */
export interface ModuleTree {
  /** Module name → file. */
  files: Map<string, string>
  /** What the kernel has without a module. */
  builtin: Set<string>
}

/** Lists the modules below a `lib/modules/VERSION` folder. */
export async function openModuleTree(folder: string): Promise<ModuleTree> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = new Map<string, string>()
  for (const entry of entries) {
    if (entry.isFile() && MODULE_FILE.test(entry.name)) {
      files.set(moduleName(entry.name), join(entry.parentPath, entry.name))
    }
  }
  const builtin = await readFile(join(folder, 'modules.builtin'), 'utf8')
  return { files, builtin: new Set(builtin.split('\n').filter(Boolean).map(moduleName)) }
}

const MODULE_FILE = /\.ko(\.(xz|zst|gz))?$/

function moduleName(path: string): string {
  return basename(path.replace(MODULE_FILE, '')).replaceAll('-', '_')
}

/**
 * The modules of these names and all they depend on, each after what it needs.
 *
 * A name that the kernel has built in, or does not know at all, is left out: kernels differ in both.
 */
export async function loadModules(tree: ModuleTree, names: readonly string[]): Promise<KernelModule[]> {
  const loaded = new Map<string, KernelModule>()
  const visit = async (name: string): Promise<void> => {
    const file = tree.files.get(name)
    if (file === undefined || loaded.has(name) || tree.builtin.has(name)) return
    const module = parseModule(name, await decompress(file))
    for (const needed of module.depends) await visit(needed)
    loaded.set(name, module)
  }
  for (const name of names) await visit(name.replaceAll('-', '_'))
  return [...loaded.values()]
}

/**
 * Reads the `key=value` strings of a module's `.modinfo` section.
 *
 * Packages carry no `modules.dep`: it is made when they are installed, which these are not.
 */
function parseModule(name: string, data: Buffer): KernelModule {
  const values = (key: string) => findStrings(data, `\0${key}=`).filter(Boolean)
  return {
    name,
    data,
    // The kernel's build adds it after what the source says, so it is never the first and has a NUL before it.
    depends: values('depends').flatMap((list) => list.split(',').map((each) => each.replaceAll('-', '_'))),
    aliases: values('alias'),
  }
}

function findStrings(data: Buffer, prefix: string): string[] {
  const found: string[] = []
  for (let at = data.indexOf(prefix); at >= 0; at = data.indexOf(prefix, at + 1)) {
    const start = at + prefix.length
    const end = data.indexOf(0, start)
    found.push(data.toString('latin1', start, end < 0 ? data.length : end))
  }
  return found
}

/** Debian 12 has plain modules; later releases compress them, and busybox cannot load those. */
async function decompress(file: string): Promise<Buffer> {
  if (file.endsWith('.xz')) return decompressXz(file)
  const data = await readFile(file)
  if (file.endsWith('.gz')) return promisify(gunzip)(data)
  return file.endsWith('.zst') ? promisify(zstdDecompress)(data) : data
}

async function decompressXz(file: string): Promise<Buffer> {
  try {
    const options = { encoding: 'buffer', maxBuffer: 256 * 1024 * 1024 } as const
    const { stdout } = await promisify(execFile)('xz', ['-dc', '--', file], options)
    return stdout
  } catch (cause) {
    throw new Error(`cannot unpack ${file} with xz: install the package xz-utils`, { cause })
  }
}
