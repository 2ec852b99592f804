import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { buildCpio, type CpioEntry } from './cpio.ts'
import { type KernelModule, type ModuleTree, loadModules } from './modules.ts'

/** Loaded at start, because they serve devices that are there from the first moment. */
const BOOT_MODULES = [
  'virtio_pci',
  'virtio_mmio',
  'virtio_blk',
  'virtio_scsi',
  'sd_mod',
  'sr_mod',
  'virtio_net',
  'virtio_console',
  'virtio_rng',
  'virtio_balloon',
  'evdev',
  'button',
  'gpio_pl061',
  'gpio_keys',
]

/** There for `modprobe`, and for the kernel when something is mounted. */
const EXTRA_MODULES = [
  'isofs',
  'vfat',
  'nls_cp437',
  'nls_ascii',
  'nls_iso8859_1',
  'nls_utf8',
  'ext4',
  'virtiofs',
  'virtio_mem',
  'virtio_input',
  'qemu_fw_cfg',
  'pvpanic_pci',
  'nvme',
  'vmw_vsock_virtio_transport',
]

const FOLDERS = ['bin', 'dev', 'etc', 'lib', 'proc', 'root', 'sys', 'tmp']

/** Where the guest's own scripts stand, by their path in the guest. */
const SCRIPTS: Record<string, URL> = {
  init: new URL('init.sh', import.meta.url),
  'etc/udhcpc.sh': new URL('udhcpc.sh', import.meta.url),
}

/** What an initial RAM disk is made from. */
export interface InitramfsParts {
  /** A statically linked busybox. */
  busybox: string
  modules: ModuleTree
  /** As `uname -r` will say. */
  kernelVersion: string
  /** What else is to be in it; folders before what is in them. */
  more: readonly CpioEntry[]
}

/** The gzipped initial RAM disk of the guest. Takes about a second. */
export async function buildInitramfs(parts: InitramfsParts): Promise<Buffer> {
  const boot = await loadModules(parts.modules, BOOT_MODULES)
  const all = await loadModules(parts.modules, [...BOOT_MODULES, ...EXTRA_MODULES])
  const folder = `lib/modules/${parts.kernelVersion}`
  const entries: CpioEntry[] = [
    ...[...FOLDERS, 'lib/modules', folder].map(folderEntry),
    // Loaded by name alone at start, by version through modprobe.
    ...all.map(({ name, data }) => fileEntry(`${folder}/${name}.ko`, data)),
    ...all.map(({ name }) => linkEntry(`lib/modules/${name}.ko`, `${parts.kernelVersion}/${name}.ko`)),
    fileEntry(`${folder}/modules.dep`, formatDependencies(all)),
    fileEntry(`${folder}/modules.alias`, formatAliases(all)),
    fileEntry('etc/modules.boot', lines(boot.map(({ name }) => name))),
    fileEntry('etc/passwd', 'root::0:0:root:/root:/bin/sh\n'),
    fileEntry('bin/busybox', await readFile(parts.busybox), 0o755),
    linkEntry('sbin', 'bin'),
    { path: 'dev/console', type: 'device', mode: 0o600, major: 5, minor: 1 },
  ]
  for (const [path, url] of Object.entries(SCRIPTS)) entries.push(fileEntry(path, await readFile(url), 0o755))
  entries.push(...parts.more)
  return promisify(gzip)(buildCpio(entries), { level: 6 })
}

/** Everything of ours that shapes the result, so that a change of it can be told. */
export async function describeRecipe(): Promise<string> {
  const scripts = await Promise.all(Object.values(SCRIPTS).map((url) => readFile(url, 'utf8')))
  return JSON.stringify([BOOT_MODULES, EXTRA_MODULES, FOLDERS, scripts])
}

function formatDependencies(modules: KernelModule[]): string {
  const file = (name: string) => `${name}.ko`
  return lines(modules.map(({ name, depends }) => [`${file(name)}:`, ...depends.map(file)].join(' ')))
}

function formatAliases(modules: KernelModule[]): string {
  return lines(modules.flatMap(({ name, aliases }) => aliases.map((alias) => `alias ${alias} ${name}`)))
}

function lines(items: string[]): string {
  return items.map((item) => `${item}\n`).join('')
}

/** A folder that anybody may enter and list. */
export function folderEntry(path: string): CpioEntry {
  return { path, type: 'folder', mode: 0o755 }
}

/** A file, readable for everybody where no mode is given. */
export function fileEntry(path: string, data: Uint8Array | string, mode = 0o644): CpioEntry {
  return { path, type: 'file', mode, data: typeof data === 'string' ? Buffer.from(data) : data }
}

/** A symbolic link. */
export function linkEntry(path: string, target: string): CpioEntry {
  return { path, type: 'link', target }
}
