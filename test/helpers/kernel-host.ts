/**
 * A host of its own kernel, Debian's, to run a program of `test/programs` in as root: for what this machine's kernel may lack,
 * or should not be asked for. It is emulated, and sees a copy of `src` and `test` on a disk of its own.
 */
import { execFile, execFileSync } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { defaultCacheDir, fetchPackages, unpackPackages } from '../../src/guest/debian.ts'
import { firstThere } from '../../src/guest/guest-image.ts'
import { loadModules, openModuleTree } from '../../src/guest/modules.ts'
import { BareQemu } from './bare-qemu.ts'
import { guestAssets, TEST_KERNEL_ARGS } from './guest.ts'

/** What a program needs there. */
export interface KernelHostOptions {
  /** Kernel modules that are loaded before. */
  modules: readonly string[]
  /** Programs of this machine that it runs. */
  tools: readonly string[]
}

const ROOT = new URL('../../', import.meta.url).pathname
const BOOT_MS = 240_000
const DISK_MIB = 512
const exec = promisify(execFile)

/** Why there can be no such host here; `undefined` where there can. */
export function whyNoKernelHost({ tools }: Pick<KernelHostOptions, 'tools'>): string | undefined {
  const missing = ['mke2fs', 'ldd', 'busybox', ...tools].filter((name) => whereIs(name) === undefined)
  return missing.length > 0 ? `no ${missing.join(', ')} on this machine` : undefined
}

/** Runs a program there to its end and answers the JSON that it prints as its last line. Throws with all that it said. */
export async function runInKernelHost(program: string, options: KernelHostOptions): Promise<unknown> {
  const folder = await mkdtemp(join(tmpdir(), 'vg-kernel-host-'))
  try {
    const disk = await makeDisk(folder, options)
    const run = ['modprobe -q ext4', 'mount /dev/vda /mnt', `sh /mnt/run.sh ${program}`].join(';')
    await using host = await BareQemu.start(await guestAssets(), {
      kernelArgs: `${TEST_KERNEL_ARGS} virtgate.run=${run.replaceAll(' ', '+')}`,
      args: ['-m', '768', '-drive', `file=${disk},format=raw,if=virtio,snapshot=on`],
    })
    await host.waitFor(/^ended [0-9]+\r?$/m, BOOT_MS)
    const line = /^result (.*?)\r?$/m.exec(host.serial)?.[1]
    if (line === undefined) throw new Error(`the program gave no result:\n${host.serial}`)
    return JSON.parse(line)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** What runs the program: what a distribution would have set up. */
const RUN = `
for module in $(cat /mnt/modules/order); do insmod /mnt/modules/$module.ko || exit; done
for folder in proc sys dev; do mount -o bind /$folder /mnt/$folder; done
mount -t tmpfs run /mnt/run
mkdir -p /dev/net /mnt/run/netns
[ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200
PATH=/bin chroot /mnt /bin/node /repo/test/programs/$1 2>&1
echo ended $?
`

async function makeDisk(folder: string, { modules, tools }: KernelHostOptions): Promise<string> {
  const tree = join(folder, 'tree')
  for (const name of ['bin', 'proc', 'sys', 'dev', 'run', 'tmp', 'modules', 'repo', 'var'])
    await mkdir(join(tree, name), { recursive: true })
  await cp(join(ROOT, 'src'), join(tree, 'repo/src'), { recursive: true })
  await cp(join(ROOT, 'test/programs'), join(tree, 'repo/test/programs'), { recursive: true })
  await writeFile(join(tree, 'repo/package.json'), '{"type":"module"}')
  await writeFile(join(tree, 'run.sh'), RUN)
  for (const tool of ['busybox', ...tools]) await addProgram(tree, tool, whereIs(tool) ?? tool)
  await addProgram(tree, 'node', process.execPath)
  await addModules(join(tree, 'modules'), join(folder, 'packages'), modules)
  const disk = join(folder, 'disk.img')
  await exec('mke2fs', ['-q', '-F', '-t', 'ext4', '-d', tree, disk, `${DISK_MIB}M`])
  return disk
}

/** A program and its libraries, which stand where they stand here. */
async function addProgram(tree: string, name: string, file: string): Promise<void> {
  await cp(file, join(tree, 'bin', name), { dereference: true })
  // It answers nothing for what is linked statically.
  const { stdout } = await exec('ldd', [file]).catch(() => ({ stdout: '' }))
  for (const [, library = ''] of stdout.matchAll(/(\/\S+) \(0x/g)) {
    await mkdir(join(tree, dirname(library)), { recursive: true })
    await cp(library, join(tree, library), { dereference: true })
  }
}

async function addModules(to: string, scratch: string, names: readonly string[]): Promise<void> {
  const packages = await fetchPackages({ cacheDir: defaultCacheDir() })
  await unpackPackages(packages, scratch)
  const kernel = await firstThere(scratch, ['lib/modules'])
  const [version = ''] = execFileSync('ls', [kernel], { encoding: 'utf8' }).split('\n')
  const loaded = await loadModules(await openModuleTree(join(kernel, version)), names)
  for (const { name, data } of loaded) await writeFile(join(to, `${name}.ko`), data)
  await writeFile(join(to, 'order'), loaded.map(({ name }) => name).join('\n'))
}

function whereIs(name: string): string | undefined {
  try {
    return execFileSync('which', [name], { encoding: 'utf8' }).trim()
  } catch {
    return undefined
  }
}
