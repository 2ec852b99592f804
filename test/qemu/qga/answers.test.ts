import { expect, test } from 'vitest'
import {
  readFileSystems,
  readFreezeStatus,
  readInterfaces,
  readOsInfo,
  readTimezone,
  readUsers,
  readVersion,
} from '../../../src/qemu/qga/answers.ts'
import { cleanText } from '../../../src/qemu/qga/text.ts'

const JUNK = [undefined, null, 7, 'text', [], {}, [null, 7, 'x', []], { a: { b: 1 } }]

test('whatever is not as documented is left out', () => {
  for (const junk of JUNK) {
    expect(readUsers(junk)).toEqual([])
    expect(readFileSystems(junk)).toEqual([])
    expect(readInterfaces(junk)).toEqual([])
    expect(readOsInfo(junk)).toEqual({})
    expect(readVersion(junk)).toEqual({ commands: [] })
    expect(readTimezone(junk)).toBeUndefined()
    expect(readFreezeStatus(junk)).toBeUndefined()
  }
})

test('answers become what the API shows', () => {
  expect(readOsInfo({ id: 'debian', 'kernel-release': '6.1', machine: '', 'pretty-name': 7 })).toEqual({
    id: 'debian',
    kernelRelease: '6.1',
  })
  expect(readTimezone({ zone: 'CET', offset: 3600 })).toBe('CET, 3600')
  expect(
    readUsers([
      { user: 'root', 'login-time': 1.5 },
      { user: 'x', domain: 'D', 'login-time': -1 },
    ]),
  ).toEqual([
    { userName: 'root', loginTime: 1.5 },
    { userName: 'x', domain: 'D' },
  ])
  const disk = [{ 'bus-type': 'virtio', serial: 's1' }, { 'bus-type': 7 }]
  const fs = { name: 'vda1', mountpoint: '/', type: 'ext4', 'used-bytes': 10, 'total-bytes': 2n ** 60n, disk }
  expect(readFileSystems([fs, { name: 'no-mountpoint' }])).toEqual([
    {
      diskName: 'vda1',
      mountPoint: '/',
      fileSystemType: 'ext4',
      usedBytes: 10,
      totalBytes: Number.MAX_SAFE_INTEGER,
      disk: [{ serial: 's1', busType: 'virtio' }],
    },
  ])
})

test('lists and texts of a guest end, however long it makes them', () => {
  const many = <T>(count: number, of: (index: number) => T) =>
    Array.from({ length: count }, (_, index) => of(index))
  const addresses = many(1000, (index) => ({ 'ip-address': `10.1.${index >> 8}.${index & 255}` }))
  const cards = readInterfaces(many(1000, (index) => ({ name: `e${index}`, 'ip-addresses': addresses })))
  expect(cards).toHaveLength(64)
  expect(cards[0]?.addresses.length).toBeLessThanOrEqual(64)
  expect(cards.flatMap((card) => card.addresses).length).toBe(256)
  expect(readUsers(many(1000, () => ({ user: 'u' })))).toHaveLength(256)
  expect(readFileSystems(many(1000, () => ({ mountpoint: '/' })))).toHaveLength(256)
  const [user] = readUsers([{ user: 'ä'.repeat(1_000_000) }])
  expect(Buffer.byteLength(user?.userName ?? '')).toBe(256)
})

test.each([
  ['a\n\r\u0000\u001b[31mb', 'a[31mb'],
  ['\u2028x\u2029\u0085', 'x'],
  ['\ud800half', 'half'],
  ['ü'.repeat(200), 'ü'.repeat(128)],
  ['x' + '€'.repeat(100), 'x' + '€'.repeat(85)],
])('a text %j is shown as %j', (text, clean) => {
  expect(cleanText(text)).toBe(clean)
})

test('only addresses of one machine are taken for such, and MACs are told by their form', () => {
  const claims = [
    '127.0.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    'ff02::1',
    '::ffff:127.0.0.1',
    'fe80::1%eth0',
    '10.0.0.5/24',
    'host.example',
    '10.0.0.5',
    '10.0.0.5',
    'fe80::1',
  ]
  const answer = [
    {
      name: 'a',
      'hardware-address': '02:AB:00:00:00:01',
      'ip-addresses': claims.map((each) => ({ 'ip-address': each })),
    },
    { name: 'b', 'hardware-address': '../../etc' },
  ]
  expect(readInterfaces(answer)).toEqual([
    { name: 'a', mac: '02:ab:00:00:00:01', addresses: ['10.0.0.5', 'fe80::1'] },
    { name: 'b', addresses: [] },
  ])
})
