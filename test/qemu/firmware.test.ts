import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { findFirmware } from '../../src/qemu/firmware.ts'

let root: string
let dirs: string[]

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'vg-'))
  dirs = ['etc', 'usr'].map((name) => join(root, name))
  for (const dir of dirs) mkdirSync(dir)
})

afterEach(() => rmSync(root, { recursive: true, force: true }))

/** Writes a descriptor of a firmware whose code is called after the file. */
function describeFirmware(file: string, features: string[], change: object = {}, mapping: object = {}): void {
  const json = {
    description: file,
    'interface-types': ['uefi'],
    mapping: {
      device: 'flash',
      executable: { filename: `/fw/${file}.code`, format: 'raw' },
      'nvram-template': { filename: `/fw/${file}.vars`, format: 'raw' },
      ...mapping,
    },
    targets: [{ architecture: 'x86_64', machines: ['pc-i440fx-*', 'pc-q35-*'] }],
    features,
    ...change,
  }
  writeFileSync(join(root, file), JSON.stringify(json))
}

async function find(secureBoot: boolean, machineType = 'pc-q35-7.2'): Promise<string | undefined> {
  return (await findFirmware({ secureBoot, machineType, dirs }))?.code
}

test('a firmware is one for the wish: with keys enrolled, or without Secure Boot', async () => {
  describeFirmware('usr/40-enrolled.json', ['secure-boot', 'enrolled-keys', 'requires-smm'])
  describeFirmware('usr/50-secure.json', ['secure-boot', 'requires-smm'])
  describeFirmware('usr/60-plain.json', ['verbose-dynamic'])
  expect(await findFirmware({ secureBoot: true, machineType: 'pc-q35-7.2', dirs })).toEqual({
    code: '/fw/usr/40-enrolled.json.code',
    varsTemplate: '/fw/usr/40-enrolled.json.vars',
  })
  expect(await find(false)).toBe('/fw/usr/60-plain.json.code')
})

test('without one there is none; neither is there in directories that are not there', async () => {
  expect(await find(false)).toBeUndefined()
  describeFirmware('usr/50-secure.json', ['secure-boot', 'requires-smm'])
  expect(await find(true)).toBeUndefined()
  expect(
    await findFirmware({ secureBoot: true, machineType: 'pc-q35-7.2', dirs: ['/no/such/dir'] }),
  ).toBeUndefined()
})

test('the administrator’s come first, and an empty one hides the distribution’s', async () => {
  describeFirmware('usr/60-plain.json', [])
  describeFirmware('etc/70-own.json', [])
  expect(await find(false)).toBe('/fw/usr/60-plain.json.code')
  writeFileSync(join(root, 'etc/60-plain.json'), '')
  expect(await find(false)).toBe('/fw/etc/70-own.json.code')
})

test.each([
  ['another machine', { targets: [{ architecture: 'x86_64', machines: ['pc-i440fx-*'] }] }, {}],
  ['another architecture', { targets: [{ architecture: 'aarch64', machines: ['pc-q35-*'] }] }, {}],
  ['BIOS', { 'interface-types': ['bios'] }, {}],
  ['one file without variables', {}, { mode: 'stateless' }],
  ['memory', {}, { device: 'memory' }],
  ['images of another format', {}, { executable: { filename: '/fw/x.qcow2', format: 'qcow2' } }],
  ['no template', {}, { 'nvram-template': undefined }],
])('one for %s does not suit', async (_what, change, mapping) => {
  describeFirmware('usr/60-plain.json', [], change, mapping)
  expect(await find(false)).toBeUndefined()
})

test('what is no descriptor is passed over', async () => {
  writeFileSync(join(root, 'usr/10-broken.json'), '{')
  writeFileSync(join(root, 'usr/20-list.json'), '[]')
  writeFileSync(join(root, 'usr/README'), 'not one')
  describeFirmware('usr/60-plain.json', [])
  expect(await find(false)).toBe('/fw/usr/60-plain.json.code')
})
