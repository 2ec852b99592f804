import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { isIP, isIPv4 } from 'node:net'
import { type Clock } from '../../lib/clock.ts'
import { LOCAL_MIGRATION_CIDR } from '../migration/address.ts'
import { GUEST_UIDS, type QemuUser } from '../user.ts'
import { FORWARDS_CIDR } from './user-net.ts'

/**
 * QEMU's user-mode network makes connections in the name of QEMU's user, and would make one to 127.0.0.1 of the host
 * for every guest that asks its gateway (contract 0.2, rule 10). As the users of guests do nothing else, the kernel
 * can tell: packets that they send to the loopback are refused, but for the host's name server and for answers to the
 * worker. And nobody but the worker gets through to the ports that QEMU opens for port forwarding.
 */

/** What a guard is made with. */
export interface GuardOptions {
  /** Name or path of the program; `nft` where absent. */
  nft?: string
  clock: Clock
}

/** Users that run QEMU, first and last. */
interface Users {
  first: number
  last: number
}

const RESOLV_CONF = '/etc/resolv.conf'
const NFT_MS = 5_000
/** Somebody may reload the rules of the host: ours are looked after again with a guest that starts later. */
const FRESH_MS = 10_000

/** Keeps guests away from the host's loopback. */
export class LoopbackGuard {
  readonly #nft: string
  readonly #clock: Clock
  readonly #kept = new Map<number, { atMs: number; answer: Promise<string | undefined> }>()

  constructor({ nft = 'nft', clock }: GuardOptions) {
    this.#nft = nft
    this.#clock = clock
  }

  /**
   * Sees to it that a QEMU of this user cannot reach the host's loopback. Answers why that cannot be done, for people;
   * `undefined` where it is.
   */
  async keep(user: QemuUser | undefined): Promise<string | undefined> {
    if (!user || user.uid === process.getuid?.()) {
      return 'QEMU runs as the user of the worker: run the worker as root to give each guest a user of its own'
    }
    const users = usersOf(user.uid)
    const kept = this.#kept.get(users.first)
    if (kept && this.#clock.now() - kept.atMs < FRESH_MS) return kept.answer
    const answer = this.#install(users)
    this.#kept.set(users.first, { atMs: this.#clock.now(), answer })
    return answer
  }

  async #install(users: Users): Promise<string | undefined> {
    const servers = loopbackServers(await readFile(RESOLV_CONF, 'utf8').catch(() => ''))
    try {
      await run(this.#nft, buildRules({ users, workerUid: process.getuid?.() ?? 0, servers }))
      return undefined
    } catch (error) {
      const why = error instanceof Error ? error.message.trim().split('\n').at(0) : String(error)
      return `packets cannot be filtered (${why}): install nftables, and run the worker where it may use it`
    }
  }
}

function usersOf(uid: number): Users {
  const { first, last } = GUEST_UIDS
  return uid >= first && uid <= last ? GUEST_UIDS : { first: uid, last: uid }
}

/** Name servers of the host that are on its loopback, as systemd-resolved is. */
export function loopbackServers(resolvConf: string): string[] {
  return resolvConf
    .split('\n')
    .flatMap((line) => /^nameserver\s+(\S+)/.exec(line)?.[1] ?? [])
    .filter((address) => isIP(address) !== 0 && (address.startsWith('127.') || address === '::1'))
}

/** The rules as `nft -f` takes them: they replace what stands there, in one step. */
export function buildRules(parts: { users: Users; workerUid: number; servers: string[] }): string {
  const { users, workerUid, servers } = parts
  const table = `inet virtgate_${users.first}`
  const dns = servers.map(
    (server) =>
      `${isIPv4(server) ? 'ip' : 'ip6'} daddr ${server} meta l4proto { tcp, udp } th dport 53 accept`,
  )
  // Every rule asks whose a packet is by saying whose: of some, such as resets, the kernel itself is the sender.
  const out = [
    'type filter hook output priority filter; policy accept;',
    'oifname != "lo" accept',
    `ip daddr ${FORWARDS_CIDR} meta skuid != ${workerUid} drop`,
    `ip saddr ${FORWARDS_CIDR} accept`,
    // Guests that move between workers of one machine. Who may connect there is for certificates to tell.
    `ip daddr ${LOCAL_MIGRATION_CIDR} accept`,
    `ip saddr ${LOCAL_MIGRATION_CIDR} accept`,
    `meta skuid ${users.first}-${users.last} jump guests`,
  ]
  const guests = [
    ...dns,
    ...['ip daddr 127.0.0.0/8', 'ip6 daddr ::1'].flatMap((to) => [
      `${to} meta l4proto tcp reject with tcp reset`,
      `${to} drop`,
    ]),
  ]
  return [
    `table ${table}`,
    `delete table ${table}`,
    `table ${table} {`,
    ...formatChain('guests', guests),
    ...formatChain('out', out),
    '}\n',
  ].join('\n')
}

function formatChain(name: string, rules: string[]): string[] {
  return [`  chain ${name} {`, ...rules.map((rule) => `    ${rule}`), '  }']
}

async function run(program: string, rules: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const options = { timeout: NFT_MS, env: { PATH: process.env.PATH, LC_ALL: 'C' } }
  const child = execFile(program, ['-f', '-'], options, (error, _stdout, stderr) => {
    if (error) reject(new Error(stderr.trim() || error.message, { cause: error }))
    else resolve()
  })
  // A program that is not there, or has ended, reads nothing.
  child.stdin?.on('error', () => {})
  child.stdin?.end(rules)
  await promise
}
