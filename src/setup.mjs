// Runs on whatever Node the machine has (20 or newer), before anything is installed: brings what is
// missing, then hands over to the right Node. `npm start` and `npm test` begin here.
import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { fail, findNode, handOver, root, say } from './node.mjs'

const modules = join(root, 'node_modules')

/** What each task runs once everything is there. The user's own arguments are appended. */
const TASKS = {
  start: [join(root, 'src', 'start.ts')],
  test: [join(modules, 'vitest', 'vitest.mjs'), 'run'],
}

/** For guests of any architecture: what keeps them from the host's loopback, and what speaks vsock with them. */
const NETWORK_PACKAGES = [
  ['/usr/sbin/nft', 'nftables'],
  ['socat', 'socat'],
]

/** Debian packages by the program that shows they are there. */
const PACKAGES = {
  x64: [
    ['qemu-system-x86_64', 'qemu-system-x86'],
    ['qemu-img', 'qemu-utils'],
    ['/usr/share/qemu/firmware/60-edk2-x86_64.json', 'ovmf'],
    ...NETWORK_PACKAGES,
  ],
  arm64: [
    ['qemu-system-aarch64', 'qemu-system-arm'],
    ['qemu-img', 'qemu-utils'],
    ['/usr/share/qemu/firmware/60-edk2-aarch64.json', 'qemu-efi-aarch64'],
    ...NETWORK_PACKAGES,
  ],
}

function isPresent(program) {
  if (program.startsWith('/')) return existsSync(program)
  return (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, program)))
}

function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', cwd: root, ...options })
  if (error) say(`cannot run ${command}: ${error.message}`)
  return status === 0
}

/** npm packages: as the lock file says, once, and again only when the lock file has changed since. */
function installModules() {
  const installed = join(modules, '.package-lock.json')
  const lock = join(root, 'package-lock.json')
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return
  say('installing npm packages (once) …')
  const npm = process.env.npm_execpath
  const [command, args] = npm ? [process.execPath, [npm]] : ['npm', []]
  if (!run(command, [...args, 'ci', '--loglevel=error'])) {
    fail('`npm ci` failed; its own message above says why. Check the network and run this again.')
  }
}

function missingPackages() {
  const wanted = PACKAGES[process.arch]
  if (process.platform !== 'linux' || !wanted) {
    fail(`virtgate runs guests on Linux on x86-64 and arm64; this is ${process.platform} on ${process.arch}.`)
  }
  return wanted.filter(([program]) => !isPresent(program)).map(([, name]) => name)
}

async function mayUseRoot(command, yes) {
  if (process.getuid() === 0 || yes) return true
  if (!process.stdin.isTTY) return false
  const prompt = createInterface({ input: process.stdin, output: process.stderr })
  const answer = await prompt.question(`virtgate: run \`sudo ${command}\`? [Y/n] `)
  prompt.close()
  return !/^n/i.test(answer.trim())
}

/** Debian packages that guests need. They ask for root rights, so nothing happens without leave. */
async function installPackages(task, yes) {
  const names = missingPackages()
  if (names.length === 0) return
  const command = `apt-get install -y --no-install-recommends ${names.join(' ')}`
  say(`missing Debian packages: ${names.join(', ')}`)
  if (!isPresent('apt-get')) return giveUp(task, `install what provides them on this system`)
  if (!(await mayUseRoot(command, yes))) return giveUp(task, `sudo ${command}`)
  const prefix = process.getuid() === 0 ? [] : ['sudo']
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const apt = (...args) => {
    const [program, ...rest] = [...prefix, 'apt-get', ...args]
    return run(program, rest, { env, stdio: ['inherit', 'ignore', 'inherit'] })
  }
  say(`installing ${names.join(', ')} …`)
  const install = ['install', '-y', '-qq', '--no-install-recommends', ...names]
  // Fresh machines have old or no package lists: update, and fall back to what is there.
  if (!apt('update', '-qq')) say('`apt-get update` failed; trying with the package lists at hand')
  if (!apt(...install)) giveUp(task, command)
}

/** Guests cannot run: starting ends here, tests go on and skip what needs them, saying so. */
function giveUp(task, todo) {
  if (task === 'start') fail(`guests need them. Do this, then run it again: ${todo}`)
  say(`tests that boot guests will be skipped. To run them: ${todo}`)
}

const [task, ...args] = process.argv.slice(2)
if (!Object.hasOwn(TASKS, task ?? ''))
  fail(`usage: node src/setup.mjs ${Object.keys(TASKS).join('|')} [arguments]`)
const yes = args.includes('--yes')
installModules()
const node = findNode()
await installPackages(task, yes)
handOver(node, [...TASKS[task], ...args.filter((argument) => argument !== '--yes')])
