import { expect, test } from 'vitest'
import { buildRules, LoopbackGuard, loopbackServers } from '../../../src/worker/network/loopback-guard.ts'
import { GUEST_UIDS } from '../../../src/worker/user.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'

const parts = { users: GUEST_UIDS, workerUid: 0, servers: ['127.0.0.53', '::1'] }

test('only packets of guests are refused: those that have no sender are let through', () => {
  const rules = buildRules(parts)
  expect(rules).toContain(`meta skuid ${GUEST_UIDS.first}-${GUEST_UIDS.last} jump guests`)
  // Where a packet has no socket a comparison with its user fails, so nothing may be accepted by one and the rest dropped.
  const out = /chain out \{([^}]*)\}/.exec(rules)?.[1] ?? ''
  for (const drop of out.split('\n').filter((line) => /drop|reject/.test(line))) {
    expect(drop).toContain('meta skuid')
  }
})

test('the name server of the host stays within reach where it is on the loopback', () => {
  const rules = buildRules(parts)
  expect(rules.indexOf('ip daddr 127.0.0.53')).toBeLessThan(rules.indexOf('ip daddr 127.0.0.0/8 drop'))
  expect(rules).toContain('ip6 daddr ::1 meta l4proto { tcp, udp } th dport 53 accept')
})

test.each([
  ['nameserver 127.0.0.53\noptions edns0\nsearch lan\n', ['127.0.0.53']],
  ['nameserver 192.0.2.53\nnameserver ::1\n', ['::1']],
  ['nameserver 127.0.0.1;drop\n# nameserver 127.0.0.2\n', []],
])('servers in %j', (text, servers) => {
  expect(loopbackServers(text)).toEqual(servers)
})

test('a host without the program is told of', async () => {
  const guard = new LoopbackGuard({ nft: '/nowhere/nft', clock: createFakeClock() })
  expect(await guard.keep({ uid: GUEST_UIDS.first, gid: 107 })).toContain('install nftables')
})

test('a QEMU that runs as the worker itself cannot be told from it', async () => {
  const guard = new LoopbackGuard({ nft: '/nowhere/nft', clock: createFakeClock() })
  expect(await guard.keep(undefined)).toContain('run the worker as root')
  expect(await guard.keep({ uid: process.getuid?.() ?? 0, gid: 0 })).toContain('run the worker as root')
})
