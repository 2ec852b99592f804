import { createHash } from 'node:crypto'
import { copyFile, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { CpioEntry } from './cpio.ts'
import {
  type DebianPackages,
  type TaskOptions,
  PackagesUnavailable,
  debianArch,
  fetchPackages,
  moveUnlessThere,
  openScratch,
  unpackPackages,
} from './debian.ts'
import { buildInitramfs, describeRecipe } from './initramfs.ts'
import { openModuleTree } from './modules.ts'

/** The guest as QEMU's `-kernel` and `-initrd` take it. */
export interface GuestImage {
  /** Absolute path of the kernel. */
  kernel: string
  /** Absolute path of the initial RAM disk. */
  initrd: string
  /** Packages it was made from, for people. */
  version: string
}

/** Reference under which the examples and the tests look for the guest. Its registry is never asked. */
export const GUEST_REFERENCE = 'virtgate.local/hello-guest:latest'

/** Kernel arguments that the guest wants: its console on the first serial port, and a restart after a panic. */
export const GUEST_KERNEL_ARGS = `console=${process.arch === 'arm64' ? 'ttyAMA0' : 'ttyS0'} panic=-1`

/**
 * The guest's kernel and initial RAM disk, made once and then taken from the cache, also without a network.
 *
 * Throws `PackagesUnavailable`, with what to do, where the packages cannot be had.
 */
export async function buildGuestImage(options: TaskOptions): Promise<GuestImage> {
  return buildCached(await fetchPackages(options), '', options)
}

/** What an initial RAM disk has besides the small guest's own; made in a folder that vanishes afterwards. */
export type MoreEntries = (scratch: string) => Promise<CpioEntry[]>

/**
 * The guest of these packages, with `more` in it, from the cache where it is there. `recipe` changes whenever `more`
 * does. Throws `PackagesUnavailable`.
 */
export async function buildCached(
  packages: DebianPackages,
  recipe: string,
  options: TaskOptions,
  more: MoreEntries = async () => [],
): Promise<GuestImage> {
  const all = `${packages.names.join(' ')} ${await describeRecipe()}${recipe}`
  const key = createHash('sha256').update(all).digest('hex').slice(0, 16)
  const folder = join(options.cacheDir, 'guest', `${debianArch()}-${key}`)
  const image: GuestImage = {
    kernel: join(folder, 'vmlinuz'),
    initrd: join(folder, 'initrd.img'),
    version: packages.names.join(' '),
  }
  if (await isThere(image.initrd)) return image

  const scratch = await openScratch(options.cacheDir)
  try {
    options.onProgress?.('making the guest …')
    const unpacked = join(scratch, 'packages')
    await unpackPackages(packages, unpacked, options.signal)
    const built = join(scratch, 'guest')
    await mkdir(built)
    await assemble(unpacked, built, await more(scratch))
    await mkdir(join(options.cacheDir, 'guest'), { recursive: true })
    await moveUnlessThere(built, folder)
    return image
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

async function assemble(unpacked: string, target: string, more: CpioEntry[]): Promise<void> {
  const kernel = (await readdir(join(unpacked, 'boot'))).find((file) => file.startsWith('vmlinuz-'))
  if (kernel === undefined) throw new PackagesUnavailable(`no kernel in ${unpacked}/boot`)
  const kernelVersion = kernel.slice('vmlinuz-'.length)
  const modules = await openModuleTree(await firstThere(unpacked, [`lib/modules/${kernelVersion}`]))
  const busybox = await firstThere(unpacked, ['bin/busybox'])
  const parts = { busybox, modules, kernelVersion, more }
  await writeFile(join(target, 'initrd.img'), await buildInitramfs(parts))
  await copyFile(join(unpacked, 'boot', kernel), join(target, 'vmlinuz'))
}

/** The first of these files in unpacked packages: Debian moved everything below `/usr` in release 13. */
export async function firstThere(root: string, paths: string[]): Promise<string> {
  for (const path of paths.flatMap((each) => [each, `usr/${each}`])) {
    if (await isThere(join(root, path))) return join(root, path)
  }
  throw new PackagesUnavailable(`the packages lack ${paths.join(' and ')}`)
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

/** The part of an image store that is needed here. */
export interface ImageImporter<Image> {
  /** Makes an image of files; one that has the same files already stays as it is. */
  import(reference: string, files: ImportedFile[]): Promise<Image>
}

/** A file to put into an image. */
export interface ImportedFile {
  /** Absolute path in the image. */
  path: string
  /** File on this machine that holds its contents. */
  file: string
  mode: number
}

/** Puts the guest into an image store, where a VM's `kernelBoot.container` finds it. */
export async function importGuest<Image>(
  store: ImageImporter<Image>,
  guest: GuestImage,
  reference: string = GUEST_REFERENCE,
): Promise<Image> {
  return store.import(reference, [
    { path: '/boot/vmlinuz', file: guest.kernel, mode: 0o644 },
    { path: '/boot/initrd.img', file: guest.initrd, mode: 0o644 },
  ])
}
