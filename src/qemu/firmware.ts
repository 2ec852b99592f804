import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isRecord } from '../lib/json.ts'

/** An EFI firmware: read-only code, and what a guest's own variables start as. Both raw flash images. */
export interface EfiFirmware {
  code: string
  varsTemplate: string
}

/** What the firmware is for. */
export interface FirmwareWish {
  /** With keys enrolled, so that Secure Boot is in force; otherwise one without Secure Boot. */
  secureBoot: boolean
  /** Concrete, such as `pc-q35-7.2`. */
  machineType: string
  /** As QEMU spells it: `x86_64` where absent. */
  architecture?: string
  /** Directories of descriptors; of two files with the same name the earlier directory's counts. */
  dirs?: readonly string[]
}

/** Where distributions and administrators describe firmware. Source: QEMU, docs/interop/firmware.json. */
const DIRS = ['/etc/qemu/firmware', '/usr/local/share/qemu/firmware', '/usr/share/qemu/firmware']
/** All of these make Secure Boot more than a word: without keys it lets everything pass. */
const SECURE = ['secure-boot', 'enrolled-keys', 'requires-smm']
/** None of these in a firmware for guests without it. */
const NOT_PLAIN = ['enrolled-keys', 'requires-smm']

interface Descriptor {
  interfaces: string[]
  device: string
  mode: string
  code: { filename: string; format: string }
  vars: { filename: string; format: string }
  targets: { architecture: string; machines: string[] }[]
  features: string[]
}

/** The firmware that the host describes first for that wish; `undefined` where it has none. */
export async function findFirmware(wish: FirmwareWish): Promise<EfiFirmware | undefined> {
  for (const file of await listDescriptors(wish.dirs ?? DIRS)) {
    const descriptor = readDescriptor(await readFile(file, 'utf8'))
    if (descriptor && suits(descriptor, wish)) {
      return { code: descriptor.code.filename, varsTemplate: descriptor.vars.filename }
    }
  }
  return undefined
}

/** Files by their names across directories: `40-…` in one comes before `50-…` in any. */
async function listDescriptors(dirs: readonly string[]): Promise<string[]> {
  const found = new Map<string, string>()
  for (const dir of dirs) {
    for (const name of await readdir(dir).catch(noneIfMissing)) {
      if (name.endsWith('.json') && !found.has(name)) found.set(name, join(dir, name))
    }
  }
  return [...found].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, path]) => path)
}

function noneIfMissing(error: unknown): string[] {
  if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
    return []
  throw error
}

/** `undefined` for firmware of other kinds, and for an empty file, which hides one of the same name. */
function readDescriptor(text: string): Descriptor | undefined {
  const json = parseRecord(text)
  const mapping = recordIn(json, 'mapping')
  const code = imageIn(mapping, 'executable')
  const vars = imageIn(mapping, 'nvram-template')
  if (!json || !mapping || !code || !vars) return undefined
  return {
    interfaces: stringsIn(json, 'interface-types'),
    device: String(mapping.device),
    mode: typeof mapping.mode === 'string' ? mapping.mode : 'split',
    code,
    vars,
    targets: (Array.isArray(json.targets) ? json.targets : []).filter(isRecord).map((target) => ({
      architecture: String(target.architecture),
      machines: stringsIn(target, 'machines'),
    })),
    features: stringsIn(json, 'features'),
  }
}

function suits(
  descriptor: Descriptor,
  { secureBoot, machineType, architecture = 'x86_64' }: FirmwareWish,
): boolean {
  const { interfaces, device, mode, code, vars, targets, features } = descriptor
  const fitsMachine = targets.some(
    (target) =>
      target.architecture === architecture && target.machines.some((glob) => matchesGlob(machineType, glob)),
  )
  const isRawFlash = device === 'flash' && mode === 'split' && code.format === 'raw' && vars.format === 'raw'
  const fitsWish = secureBoot
    ? SECURE.every((feature) => features.includes(feature))
    : !NOT_PLAIN.some((feature) => features.includes(feature))
  return interfaces.includes('uefi') && isRawFlash && fitsMachine && fitsWish
}

function matchesGlob(text: string, glob: string): boolean {
  const pattern = glob.split('*').map((part) => part.replaceAll(/[^\w-]/g, String.raw`\$&`))
  return new RegExp(`^${pattern.join('.*')}$`).test(text)
}

function parseRecord(text: string): Record<string, unknown> | undefined {
  try {
    const json: unknown = JSON.parse(text)
    return isRecord(json) ? json : undefined
  } catch (error) {
    // Another package's descriptor that cannot be read is as good as none.
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function recordIn(
  parent: Record<string, unknown> | undefined,
  name: string,
): Record<string, unknown> | undefined {
  const value = parent?.[name]
  return isRecord(value) ? value : undefined
}

function imageIn(mapping: Record<string, unknown> | undefined, name: string): Descriptor['code'] | undefined {
  const image = recordIn(mapping, name)
  if (typeof image?.filename !== 'string') return undefined
  return { filename: image.filename, format: typeof image.format === 'string' ? image.format : 'raw' }
}

function stringsIn(parent: Record<string, unknown>, name: string): string[] {
  const value = parent[name]
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}
