/** Contract: admission-vmi.md, 4.16 to 4.18. */
import { describe } from 'vitest'
import { NEW_VMI, testRules, type Edits } from '../../helpers/rule-cases.ts'

const V = 'spec.volumes'
const K = 'spec.domain.devices.disks'

/** A guest whose disk has that source. */
const volume = (source: object): Edits => ({ [V]: [{ name: 'd', ...source }] })
/** A second disk and its volume. */
const second = (source: object, name = 'e'): Edits => ({
  [`${V}[1]`]: { name, ...source },
  [`${K}[1]`]: { name, disk: {} },
})
const claim = { persistentVolumeClaim: { claimName: 'c' } }

describe('volumes', () => {
  const seed = (members: object) => volume({ cloudInitNoCloud: members })
  const drive = (members: object) => volume({ cloudInitConfigDrive: members })
  const host = (members: object) => ({
    ...volume({ hostDisk: { path: '/d', type: 'Disk', ...members } }),
    '@on': ['HostDisk'],
  })
  const SEED = `Invalid ${V}[0].cloudInitNoCloud`
  const fits = (length: number) => 'x'.repeat(length)
  testRules(NEW_VMI, [
    ['VMI-VOL-001', { [`${V}[1]`]: { name: 'd', ...claim } }, `Invalid ${V}[1].name`, second(claim)],
    [
      'VMI-VOL-002',
      volume({ dataVolume: { name: '' } }),
      `Required ${V}[0].name`,
      volume({ dataVolume: { name: 'x' } }),
    ],
    ['VMI-VOL-003', volume({ ...claim, containerDisk: { image: 'x' } }), `Invalid ${V}[0]`, volume(claim)],
    [
      'VMI-VOL-004',
      seed({ userDataBase64: '###' }),
      `${SEED}.userDataBase64`,
      seed({ userDataBase64: 'aGk=' }),
    ],
    [
      'VMI-VOL-005',
      seed({ userData: 'a', secretRef: { name: 's' } }),
      SEED,
      seed({ secretRef: { name: 's' } }),
    ],
    ['VMI-VOL-006', seed({ userData: fits(2049) }), SEED, seed({ userData: fits(2048) })],
    [
      'VMI-VOL-007',
      drive({ userData: 'a', networkDataBase64: 'a' }),
      `Invalid ${V}[0].cloudInitConfigDrive.networkDataBase64`,
      drive({ userData: 'a', networkDataBase64: 'YQ==' }),
    ],
    [
      'VMI-VOL-008',
      seed({ userData: 'a', networkData: 'a', networkDataSecretRef: { name: 's' } }),
      SEED,
      seed({ userData: 'a', networkData: 'a' }),
    ],
    ['VMI-VOL-009', seed({ networkData: fits(2049) }), SEED, seed({ networkData: fits(2048) })],
    ['VMI-VOL-010', seed({}), SEED, seed({ networkData: 'a' })],
    [
      'VMI-VOL-011',
      volume({ downwardMetrics: {} }),
      `Invalid ${V}[0]`,
      { ...volume({ downwardMetrics: {} }), '@on': ['DownwardMetrics'] },
    ],
    ['VMI-VOL-012', { ...host({}), '@on': [] }, `Invalid ${V}[0]`, host({})],
    ['VMI-VOL-013', host({ path: '' }), `NotFound ${V}[0].hostDisk.path`, host({})],
    ['VMI-VOL-014', host({ type: 'File' }), `Invalid ${V}[0].hostDisk.type`, host({ type: 'DiskOrCreate' })],
    [
      'VMI-VOL-015',
      host({ capacity: '1Gi' }),
      `Invalid ${V}[0].hostDisk.capacity`,
      host({ type: 'DiskOrCreate', capacity: '1Gi' }),
    ],
    [
      'VMI-VOL-016',
      volume({ configMap: {} }),
      `Invalid ${V}[0].configMap.name`,
      volume({ configMap: { name: 'c' } }),
    ],
    [
      'VMI-VOL-017',
      volume({ secret: {} }),
      `Invalid ${V}[0].secret.secretName`,
      volume({ secret: { secretName: 's' } }),
    ],
    [
      'VMI-VOL-018',
      volume({ serviceAccount: {} }),
      `Invalid ${V}[0].serviceAccount.serviceAccountName`,
      volume({ serviceAccount: { serviceAccountName: 'a' } }),
    ],
  ])
})

describe('volumes all together', () => {
  const account = { serviceAccount: { serviceAccountName: 'a' } }
  const metrics = { downwardMetrics: {} }
  const dump = { memoryDump: { claimName: 'c' } }
  const gate = { '@on': ['DownwardMetrics'] }
  testRules(NEW_VMI, [
    [
      'VMI-VOL-019',
      { ...volume(account), ...second(account) },
      `Invalid ${V}`,
      { ...volume(account), ...second(claim) },
    ],
    [
      'VMI-VOL-020',
      { ...gate, ...volume(metrics), ...second(metrics) },
      `Invalid ${V}`,
      { ...gate, ...volume(metrics) },
    ],
    [
      'VMI-VOL-021',
      { [`${V}[1]`]: { name: 'x', ...dump }, [`${V}[2]`]: { name: 'y', ...dump } },
      `Invalid ${V}`,
      { [`${V}[1]`]: { name: 'x', ...dump } },
    ],
    [
      'VMI-VOL-022',
      volume({ containerDisk: { image: 'x', path: 'disk/../img' } }),
      `Invalid ${V}[0].containerDisk`,
      volume({ containerDisk: { image: 'x', path: '/disk/img' } }),
    ],
    ['VMI-VOL-023', { 'spec.utilityVolumes': [] }, 'Invalid spec.utilityVolumes'],
  ])
})

describe('access credentials', () => {
  const A = 'spec.accessCredentials'
  const source = { secret: { secretName: 's' } }
  const key = (propagationMethod: object, members: object = {}) => ({
    [A]: [{ sshPublicKey: { source, propagationMethod, ...members } }],
  })
  const password = (members: object = {}) => ({
    [A]: [{ userPassword: { source, propagationMethod: { qemuGuestAgent: {} }, ...members } }],
  })
  const seed = second({ cloudInitNoCloud: { userData: 'a' } })
  const drive = second({ cloudInitConfigDrive: { userData: 'a' } })
  const METHOD = `Invalid ${A}[0].sshPublicKey.propagationMethod`
  const agent = key({ qemuGuestAgent: { users: ['root'] } })
  testRules(NEW_VMI, [
    ['VMI-AC-001', key({ noCloud: {} }), METHOD, { ...seed, ...key({ noCloud: {} }) }],
    ['VMI-AC-002', key({ configDrive: {} }), METHOD, { ...drive, ...key({ configDrive: {} }) }],
    ['VMI-AC-003', key({ qemuGuestAgent: { users: [] } }), `${METHOD}.qemuGuestAgent.users`, agent],
    [
      'VMI-AC-004',
      key({ qemuGuestAgent: { users: ['root'] } }, { source: {} }),
      `Invalid ${A}[0].sshPublicKey.source`,
      agent,
    ],
    ['VMI-AC-005', key({}), METHOD, agent],
    ['VMI-AC-006', password({ source: {} }), `Invalid ${A}[0].userPassword.source`, password()],
    [
      'VMI-AC-007',
      password({ propagationMethod: {} }),
      `Invalid ${A}[0].userPassword.propagationMethod`,
      password(),
    ],
    ['VMI-AC-008', { [A]: [{}] }, `Invalid ${A}[0]`, password()],
  ])
})

describe('DNS', () => {
  const servers = ['10.0.0.1', '10.0.0.2', '::1']
  const none = (dnsConfig: object) => ({ 'spec.dnsPolicy': 'None', 'spec.dnsConfig': dnsConfig })
  const sound = none({ nameservers: servers })
  const config = (members: object) => ({ 'spec.dnsConfig': members })
  testRules(NEW_VMI, [
    ['VMI-DNS-002', { 'spec.dnsPolicy': 'None' }, 'Required spec.dnsConfig', sound],
    ['VMI-DNS-003', none({}), 'Required nameservers', sound],
    ['VMI-DNS-004', none({ nameservers: [...servers, '10.0.0.3'] }), 'Invalid nameservers', sound],
    [
      'VMI-DNS-005',
      none({ nameservers: ['a.b'] }),
      'Invalid nameservers',
      none({ nameservers: ['010.0.0.1'] }),
    ],
    [
      'VMI-DNS-006',
      config({ searches: Array.from('abcdefg') }),
      'Invalid searchDomains',
      config({ searches: Array.from('abcdef') }),
    ],
    [
      'VMI-DNS-007',
      config({ searches: Array.from('abcde', (letter) => letter.repeat(60)) }),
      'Invalid searchDomains',
      config({ searches: Array.from('abcd', (letter) => letter.repeat(60)) }),
    ],
    ['VMI-DNS-008', config({ searches: ['a_b'] }), 'Invalid searchDomains', config({ searches: ['a.b'] })],
    [
      'VMI-DNS-009',
      config({ options: [{ name: '', value: '1' }] }),
      'Invalid options',
      config({ options: [{ name: 'ndots', value: '1' }] }),
    ],
  ])
})
