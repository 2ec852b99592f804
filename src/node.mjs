// Plain JavaScript for whatever Node the machine has (20 or newer): finds the Node that runs the program, and
// hands over to it.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import module from 'node:module'
import { constants } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Top folder of the project. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)))

const programs = join(root, 'node_modules', '.bin')

/**
 * How V8 is set up for a process that stays. On a node that is full of guests, more threads take more memory, and no less
 * time. The buffers of streams count as growth: with what V8 lets a small heap grow by, it would look through all of it at every
 * 20 MiB that go through; this is the most that it lets any heap.
 */
export const FLAGS = ['--max-semi-space-size=2', '--heap-growing-percent=300', '--v8-pool-size=1']

/**
 * glibc keeps memory apart for each thread unless it is told not to, and large blocks that are free among those in use unless they
 * are taken from the system one by one: those that are larger than the buffers that sockets are read into.
 */
const MALLOC = { MALLOC_ARENA_MAX: '1', MALLOC_MMAP_THRESHOLD_: '66000' }

/**
 * Starts this very program again in place of itself, set up for a process that stays, which can be
 * asked for at the start alone. bench/README.md has numbers.
 */
export function startOver() {
  if (!process.execve || FLAGS.every((flag) => process.execArgv.includes(flag))) return
  const args = [process.execPath, ...process.execArgv, ...FLAGS, ...process.argv.slice(1)]
  process.execve(process.execPath, args, { ...MALLOC, ...process.env })
}

/**
 * Compiled code comes from a cache, so that what strips the types is not loaded. To be called first of all; bench/README.md has
 * numbers.
 */
export function useCompileCache() {
  module.enableCompileCache(join(root, 'node_modules', '.cache', 'virtgate'))
}

/** By then a process has started, and what only its start has used is garbage, which nobody collects while it idles. */
const SETTLED_MS = 5_000

/** A process that works for half of this has more to do than to start. */
const LOOK_MS = 1000

/**
 * Keeps a process that mostly idles small: V8's optimizing compilers, whose code alone is 4 MiB, wait until there is work for them
 * or the start is over, and what the start has left behind is collected. bench/README.md has numbers.
 */
export function startLean() {
  allowCompilers(false)
  let before
  const looks = setInterval(() => {
    const { user, system } = process.cpuUsage(before)
    // The first second goes into the start itself.
    if (before && user + system > (LOOK_MS * 1000) / 2) allowCompilers(true)
    before = process.cpuUsage()
  }, LOOK_MS).unref()
  setTimeout(() => {
    clearInterval(looks)
    allowCompilers(true)
    collectGarbage()
  }, SETTLED_MS).unref()
}

/** V8 asks for these whenever it could compile something, so that they can be said at any time. */
function allowCompilers(isAllowed) {
  for (const compiler of ['maglev', 'turbofan']) setFlagsFromString(`--${isAllowed ? '' : 'no-'}${compiler}`)
}

function collectGarbage() {
  setFlagsFromString('--expose-gc')
  // Nobody else gets to see the function. Only its last resort gives pages back to the system.
  runInNewContext('gc')({ type: 'major', flavor: 'last-resort' })
  setFlagsFromString('--no-expose-gc')
}

/** Writes a line for people. */
export function say(text) {
  process.stderr.write(`virtgate: ${text}\n`)
}

/** Writes a line for people and ends with code 1. */
export function fail(text) {
  say(text)
  process.exit(1)
}

/**
 * The oldest Node of each line that may run the program: it strips types without a warning, and malformed requests and
 * handshakes that crashed earlier ones are dealt with. Later lines began with all of that.
 */
const OLDEST = { 24: [14, 1], 25: [8, 2] }

/** Whether this very Node can run the program. */
export function isNewEnough() {
  const [major = 0, minor = 0, patch = 0] = process.versions.node.split('.').map(Number)
  const [oldestMinor, oldestPatch] = OLDEST[major] ?? [0, 0]
  return major >= 24 && (minor > oldestMinor || (minor === oldestMinor && patch >= oldestPatch))
}

/** The Node among the npm packages, or this one when new enough. Ends the process where there is none. */
export function findNode() {
  const bundled = join(programs, 'node')
  if (existsSync(bundled)) return bundled
  if (isNewEnough()) return process.execPath
  return fail(
    `Node 24.14.1 or newer (of 25: 25.8.2) is needed and this is ${process.version}. Run \`npm ci\` in ${root}, which brings ` +
      `one along for Linux on x86-64 and arm64, or install Node 24.`,
  )
}

/** Runs a script in the foreground: it gets our signals and gives us its exit code. */
export function handOver(node, args) {
  const path = [programs, process.env.PATH].join(delimiter)
  const child = spawn(node, args, { stdio: 'inherit', env: { ...process.env, PATH: path } })
  // Ctrl+C reaches the child by itself, being in the same foreground group; the rest is passed on.
  process.on('SIGINT', () => {})
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => fail(`cannot run ${node}: ${error.message}`))
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]))
}
