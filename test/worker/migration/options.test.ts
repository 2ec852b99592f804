import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { formatDhParams } from '../../../src/worker/migration/dh-params.ts'
import { failureOf } from '../../../src/worker/migration/failure.ts'
import {
  portOf,
  sourceCapabilities,
  sourceParameters,
  stateUri,
  targetCapabilities,
  targetParameters,
} from '../../../src/worker/migration/options.ts'

const named = (list: { capability: string; state: boolean }[]) =>
  Object.fromEntries(list.map(({ capability, state }) => [capability, state]))

test('both sides have a way back, so that a source never takes a broken target for one that has the guest', () => {
  const none = { allowAutoConverge: false, allowPostCopy: false }
  expect(named(sourceCapabilities(none, { hasMirrors: false, targetTakesPostCopy: true }))).toEqual({
    events: true,
    'return-path': true,
    'late-block-activate': true,
    'pause-before-switchover': false,
    'auto-converge': false,
    'postcopy-ram': false,
  })
  expect(named(targetCapabilities())).toMatchObject({ 'return-path': true, 'late-block-activate': true })
})

test.each([
  [true, true, true],
  [true, false, false],
  [false, true, false],
])('post-copy allowed: %s, possible at the target: %s', (allowPostCopy, targetTakesPostCopy, expected) => {
  const list = sourceCapabilities(
    { allowAutoConverge: true, allowPostCopy },
    { hasMirrors: true, targetTakesPostCopy },
  )
  expect(named(list)).toMatchObject({
    'postcopy-ram': expected,
    'auto-converge': true,
    'pause-before-switchover': true,
  })
})

test('parameters of an earlier migration are overwritten where this one is not encrypted', () => {
  expect(sourceParameters({ bandwidthBytes: 0, maxDowntimeMs: 900 }, undefined)).toMatchObject({
    'max-bandwidth': 0,
    'downtime-limit': 300,
    'tls-creds': '',
    'tls-hostname': '',
  })
  expect(targetParameters(false)).toEqual({ 'tls-creds': '', 'tls-authz': '' })
  expect(sourceParameters({ bandwidthBytes: 5, maxDowntimeMs: 100 }, 'mig-1-dst')).toMatchObject({
    'max-bandwidth': 5,
    'downtime-limit': 100,
    'tls-creds': 'mig-tls',
    'tls-hostname': 'mig-1-dst',
  })
})

test('addresses of both families become places that QEMU understands', () => {
  expect(stateUri('10.0.0.1', 0)).toBe('tcp:10.0.0.1:0')
  expect(stateUri('fe80::1', 4444)).toBe('tcp:[fe80::1]:4444')
  expect(portOf({ '35000': 49_152, '49152': 49_153 }, 49_153)).toBe(49_152)
  expect(() => portOf({ '35000': 49_152 }, 49_153)).toThrow(RangeError)
})

test.each([
  ['Unable to write to socket: Connection reset by peer', 'target-unreachable: '],
  ['Failed to connect to 10.0.0.9:1: Connection refused', 'target-unreachable: '],
  ['TLS handshake failed: The TLS connection was non-properly terminated.', 'tls: '],
  ['Certificate does not match the hostname mig-1', 'tls: '],
  ['Sibling indicated error 1', 'incompatible-target: '],
  ['something new', 'internal: '],
])('QEMU says "%s": a failure that begins with %s', (said, prefix) => {
  expect(failureOf(said)).toBe(`${prefix}${said}`)
})

test('parameters for key exchange are the published group', () => {
  const [, ...lines] = formatDhParams().trim().split('\n')
  const der = Buffer.from(lines.slice(0, -1).join(''), 'base64')
  // SEQUENCE of an INTEGER with 257 bytes and the INTEGER 2.
  expect(der.subarray(0, 9).toString('hex')).toBe('308201080282010100')
  expect(der.subarray(-3).toString('hex')).toBe('020102')
  expect(createHash('sha256').update(der.subarray(9, -3)).digest('hex')).toBe(
    createHash('sha256').update(GROUP_14).digest('hex'),
  )
})

/** Source: RFC 3526, section 3. */
const GROUP_14 = Buffer.from(
  `FFFFFFFF FFFFFFFF C90FDAA2 2168C234 C4C6628B 80DC1CD1 29024E08 8A67CC74 020BBEA6 3B139B22 514A0879 8E3404DD
  EF9519B3 CD3A431B 302B0A6D F25F1437 4FE1356D 6D51C245 E485B576 625E7EC6 F44C42E9 A637ED6B 0BFF5CB6 F406B7ED
  EE386BFB 5A899FA5 AE9F2411 7C4B1FE6 49286651 ECE45B3D C2007CB8 A163BF05 98DA4836 1C55D39A 69163FA8 FD24CF5F
  83655D23 DCA3AD96 1C62F356 208552BB 9ED52907 7096966D 670C354E 4ABC9804 F1746C08 CA18217C 32905E46 2E36CE3B
  E39E772C 180E8603 9B2783A2 EC07A28F B5C55DF0 6F4C52C9 DE2BCBF6 95581718 3995497C EA956AE5 15D22618 98FA0510
  15728E5A 8AACAA68 FFFFFFFF FFFFFFFF`.replaceAll(/\s/g, ''),
  'hex',
)
