import { mkdtemp, mkdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { VmiSpec } from '../../../src/kinds/kubevirt.ts'
import { FieldPath } from '../../../src/lib/field-path.ts'
import type { ResolvedData } from '../../../src/rpc/actions.ts'
import { guestFiles } from '../../../src/worker/files/paths.ts'
import { Limit } from '../../../src/worker/limit.ts'
import { makeConfigDrive, makeNoCloud } from '../../../src/worker/volumes/cloud-init.ts'
import type { VolumeContext } from '../../../src/worker/volumes/context.ts'
import { checkCredentials } from '../../../src/worker/volumes/ssh-keys.ts'
import { noImages } from '../../helpers/fake-worker.ts'
import { guestVmi, requestFor } from '../../helpers/worker.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const place = { name: 'seed', at: new FieldPath('spec.volumes[0].x'), readOnly: false }

let root: string

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'virtgate-seed-'))
})
afterEach(async () => {
  await rm(root, { recursive: true })
})

async function contextFor(spec: Partial<VmiSpec> = {}, secrets: ResolvedData = {}): Promise<VolumeContext> {
  const vmi = guestVmi('web', spec)
  vmi.metadata.annotations = { 'kubevirt.io/instancetype-name': 'u1.small' }
  const files = guestFiles({ stateDir: root, runDir: root }, vmi.metadata.uid)
  await mkdir(files.generated, { recursive: true })
  return {
    request: requestFor(vmi, { secrets }),
    files,
    user: undefined,
    images: noImages,
    pulls: new Limit(1),
    qemuImg: 'qemu-img',
    hostDiskPrefixes: [],
    signal: new AbortController().signal,
    onProgress() {},
  }
}

/** All that an image holds, as text; files of one sector stand in it whole. */
async function textOf(disk: { file: string }): Promise<string> {
  return readFile(disk.file, 'latin1')
}

/** The one JSON object of an image that has this member. */
async function jsonWith(disk: { file: string }, member: string): Promise<unknown> {
  const found = new RegExp(`\\{"${member}".*?\\}(?=\\0)`).exec(await textOf(disk))
  return JSON.parse(found?.[0] ?? 'null')
}

const withKey: Partial<VmiSpec> = {
  hostname: 'web-1',
  accessCredentials: [
    {
      sshPublicKey: {
        source: { secret: { secretName: 'ssh' } },
        propagationMethod: { noCloud: {}, configDrive: {} },
      },
    },
  ],
}
const ssh = { a: base64('ssh-ed25519 AAAA one\n'), b: base64('ssh-ed25519 BBBB two') }

test('NoCloud: label, meta-data, user data and network data from the spec', async () => {
  const context = await contextFor(withKey, { ssh })
  const disk = await makeNoCloud(
    { userData: '#cloud-config\nx: 1', networkDataBase64: base64('version: 2') },
    place,
    context,
  )
  // Writable as its disk is: QEMU has no SATA disk that is not.
  expect(disk).toMatchObject({ name: 'seed', format: 'raw', readOnly: false })
  const text = await textOf(disk)
  expect(text).toContain('cidata')
  expect(text).toContain('#cloud-config\nx: 1')
  expect(text).toContain('version: 2')
  expect(await jsonWith(disk, 'instance-id')).toEqual({
    'instance-id': context.request.vmi.metadata.uid,
    'local-hostname': 'web-1',
    'instance-type': 'u1.small',
    'public-keys': { 0: 'ssh-ed25519 AAAA one', 1: 'ssh-ed25519 BBBB two' },
  })
})

test('ConfigDrive: label, OpenStack’s paths, and the cards that have a tag', async () => {
  const interfaces = [{ name: 'default', masquerade: {}, tag: 'front', macAddress: '02-00-00-AA-BB-CC' }]
  const context = await contextFor({ ...withKey, domain: { devices: { interfaces } } }, { ssh })
  const text = await textOf(
    await makeConfigDrive({ userDataBase64: base64('hello'), networkData: '{"links":[]}' }, place, context),
  )
  expect(text).toContain('config-2')
  for (const name of ['openstack', 'latest', 'meta_data.json', 'user_data', 'network_data.json'])
    expect(text).toContain(name)
  expect(text).toContain('{"links":[]}')
  expect(text).toContain('"devices":[{"type":"nic","bus":"pci","mac":"02:00:00:aa:bb:cc","tags":["front"]}]')
  expect(text).toContain('"instance_id":"web.default"')
  expect(text).toContain('"public_keys":{"0":"ssh-ed25519 AAAA one"')
})

test.each(['userdata', 'userData'])('user data comes from the key %s of a Secret', async (key) => {
  const context = await contextFor(
    {},
    { cloud: { [key]: base64('from-secret'), networkData: base64('net-secret') } },
  )
  const text = await textOf(await makeNoCloud({ secretRef: { name: 'cloud' } }, place, context))
  expect(text).toContain('from-secret')
  expect(text).toContain('net-secret')
})

test.each([
  ['without data', {}, 'neither user data nor network data'],
  ['with a Secret that lacks the key', { secretRef: { name: 'empty' } }, 'has no key userdata or userData'],
  ['with a Secret that is not there', { secretRef: { name: 'none' } }, 'there is no Secret "none"'],
  ['with what is no base64', { userDataBase64: '#cloud' }, 'is not base64'],
])('a seed %s is refused', async (_what, source, message) => {
  await expect(makeNoCloud(source, place, await contextFor({}, { empty: {} }))).rejects.toThrow(message)
})

test.each([
  [
    'a password',
    { userPassword: { source: { secret: { secretName: 's' } }, propagationMethod: { qemuGuestAgent: {} } } },
    'userPassword',
  ],
  [
    'a key by the agent',
    { sshPublicKey: { source: {}, propagationMethod: { qemuGuestAgent: { users: ['root'] } } } },
    'propagationMethod',
  ],
  [
    'a key for a seed that the guest does not have',
    { sshPublicKey: { source: {}, propagationMethod: { noCloud: {} } } },
    'add such a volume',
  ],
])('%s is refused rather than forgotten', (_what, credential, message) => {
  const vmi = guestVmi('web', { accessCredentials: [credential] })
  expect(() => checkCredentials(requestFor(vmi))).toThrow(message)
})
