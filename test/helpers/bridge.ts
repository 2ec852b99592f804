import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe } from 'vitest'

/** A bridge of this host with a DHCP server on it; both vanish with the test. */
export interface TestBridge extends AsyncDisposable {
  name: string
  /** Of the host on it; the last number is 1. */
  address: string
  /** An address on it with that last number. */
  at(last: number): string
  /** What the DHCP server gives to a hardware address. */
  leases: { mac: string; address: string }[]
}

/** Runs a program and answers what it prints. Throws where it fails. */
export function sh(program: string, ...args: string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** vitest's `describe` for tests that make bridges: where that is not possible they are skipped, and it is said why. */
export function requireBridges(base: typeof describe | typeof describe.skip) {
  const why = whyNot()
  if (why === undefined) return base
  process.stderr.write(
    `SKIPPING TESTS OF BRIDGED NETWORKS: ${why}. Run as root; install iproute2, nftables, busybox.\n`,
  )
  return describe.skip
}

function whyNot(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root'
  const probe = 'vgprobe0'
  try {
    sh('bridge', '-V')
    sh('nft', '--version')
    if (!/^udhcpd$/m.test(sh('busybox', '--list'))) return "this machine's busybox has no udhcpd"
    sh('ip', 'link', 'add', probe, 'type', 'bridge')
    sh('ip', 'link', 'delete', probe)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message.trim() : String(error)
  }
}

/** Makes a bridge with the network `PREFIX.0/24`, such as `10.213.7`, and a DHCP server with the given leases. */
export async function openBridge(
  name: string,
  prefix: string,
  leases: { mac: string; last: number }[] = [],
): Promise<TestBridge> {
  await using stack = new AsyncDisposableStack()
  const at = (last: number) => `${prefix}.${last}`
  dropLink(name)
  sh('ip', 'link', 'add', name, 'type', 'bridge')
  stack.defer(() => dropLink(name))
  sh('ip', 'addr', 'add', `${at(1)}/24`, 'dev', name)
  sh('ip', 'link', 'set', name, 'up')
  const folder = await mkdtemp(join(tmpdir(), 'vg-dhcp-'))
  stack.defer(() => rm(folder, { recursive: true }))
  if (leases.length > 0) stack.use(await startDhcp(name, folder, at, leases))
  const open = stack.move()
  return {
    name,
    address: at(1),
    at,
    leases: leases.map(({ mac, last }) => ({ mac, address: at(last) })),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}

function dropLink(name: string): void {
  try {
    sh('ip', 'link', 'delete', name)
  } catch {
    // It is not there.
  }
}

async function startDhcp(
  name: string,
  folder: string,
  at: (last: number) => string,
  leases: { mac: string; last: number }[],
): Promise<AsyncDisposable> {
  const file = join(folder, 'udhcpd.conf')
  const leaseFile = join(folder, 'leases')
  await writeFile(leaseFile, '')
  const lines = [
    `interface ${name}`,
    `start ${at(200)}`,
    // None for hardware addresses that are not named.
    `end ${at(200)}`,
    `lease_file ${leaseFile}`,
    `pidfile ${join(folder, 'pid')}`,
    'option subnet 255.255.255.0',
    `option router ${at(1)}`,
    'option lease 3600',
    ...leases.map(({ mac, last }) => `static_lease ${mac} ${at(last)}`),
  ]
  await writeFile(file, `${lines.join('\n')}\n`)
  const server = spawn('busybox', ['udhcpd', '-f', file], { stdio: 'ignore' })
  return { [Symbol.asyncDispose]: () => end(server) }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  child.kill()
  await once(child, 'exit')
}

/** Waits until `find` finds something. Throws after that time. */
export async function until<T>(what: string, find: () => T | undefined, timeoutMs = 20_000): Promise<T> {
  const endMs = Date.now() + timeoutMs
  for (;;) {
    const found = find()
    if (found !== undefined) return found
    if (Date.now() > endMs) throw new Error(`no ${what} within ${timeoutMs} ms`)
    await sleep(100)
  }
}
