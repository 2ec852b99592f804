import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFile, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { buildIso, writeIso } from '../../../src/worker/images/iso.ts'
import { makeFolder } from '../../helpers/images.ts'

const SEED = {
  'user-data': '#cloud-config\n{}\n',
  'meta-data': '{"instance-id":"x"}',
  'openstack/latest/user_data': 'x'.repeat(5000),
  'openstack/latest/meta_data.json': '{}',
}

/** Files of the plain tree by path, read back by rules of our own: names are those of Rock Ridge. */
function readRockRidge(image: Buffer): Record<string, string> {
  const files: Record<string, string> = {}
  const walk = (sector: number, bytes: number, above: string) => {
    const end = sector * 2048 + bytes
    for (let at = sector * 2048; at < end;) {
      const length = image[at] ?? 0
      if (length === 0) {
        at = (Math.floor(at / 2048) + 1) * 2048
        continue
      }
      expect(Math.floor(at / 2048)).toBe(Math.floor((at + length - 1) / 2048))
      const record = image.subarray(at, at + length)
      at += length
      const idLength = record[32] ?? 0
      if (idLength === 1 && (record[33] ?? 9) < 2) continue
      const name = above + rockRidgeName(image, record.subarray(33 + idLength + (idLength % 2 === 0 ? 1 : 0)))
      const [place, size] = [record.readUInt32LE(2), record.readUInt32LE(10)]
      expect([record.readUInt32BE(6), record.readUInt32BE(14)]).toEqual([place, size])
      if (((record[25] ?? 0) & 2) !== 0) walk(place, size, `${name}/`)
      else files[name] = image.toString('utf8', place * 2048, place * 2048 + size)
    }
  }
  const root = image.subarray(16 * 2048 + 156)
  walk(root.readUInt32LE(2), root.readUInt32LE(10), '')
  return files
}

function rockRidgeName(image: Buffer, area: Buffer): string {
  const parts: Buffer[] = []
  for (let at = 0; at + 4 <= area.length && area[at + 2];) {
    const signature = area.toString('latin1', at, at + 2)
    const entry = area.subarray(at, at + (area[at + 2] ?? 0))
    if (signature === 'NM') parts.push(entry.subarray(5))
    if (signature === 'CE') {
      const start = entry.readUInt32LE(4) * 2048 + entry.readUInt32LE(12)
      parts.push(Buffer.from(rockRidgeName(image, image.subarray(start, start + entry.readUInt32LE(20)))))
    }
    at += entry.length
  }
  return String(Buffer.concat(parts))
}

test('an image gives back what went in', () => {
  expect(readRockRidge(buildIso({ label: 'cidata', files: SEED }))).toEqual(SEED)
})

test('any names and contents come back', () => {
  const name = fc
    .string({ minLength: 1, maxLength: 60, unit: 'grapheme' })
    .map((text) => text.replaceAll(/[/\0]/g, '_'))
    .filter((text) => text.isWellFormed() && !['.', '..'].includes(text))
  const files = fc.dictionary(
    name,
    fc.string({ maxLength: 3000 }).filter((text) => text.isWellFormed()),
    { maxKeys: 40 },
  )
  fc.assert(
    fc.property(files, (flat) => {
      const nested = Object.entries(flat).map(([key, value], at): [string, string] => [
        `d${at % 3}/${key}`,
        value,
      ])
      const contents = Object.fromEntries(nested)
      expect(readRockRidge(buildIso({ label: 'x', files: contents }))).toEqual(contents)
    }),
    { numRuns: 50 },
  )
})

test('names of 255 bytes and many files fill several sectors', () => {
  const files: Record<string, string> = {}
  for (let at = 0; at < 300; at += 1) files[`${String(at).padStart(3, '0')}${'n'.repeat(252)}`] = String(at)
  expect(readRockRidge(buildIso({ label: 'cfgdata', files }))).toEqual(files)
})

test('the same contents make the same bytes, padded to a MiB', () => {
  const image = buildIso({ label: 'cidata', files: SEED })
  expect(image.length).toBe(1024 * 1024)
  expect(buildIso({ label: 'cidata', files: SEED }).equals(image)).toBe(true)
  expect(buildIso({ label: 'x', files: { big: Buffer.alloc(1024 * 1024) } }).length).toBe(2 * 1024 * 1024)
})

test.each([
  ['an empty name', { '': '' }],
  ['a path that goes up', { '../x': '' }],
  ['a path from the root', { '/x': '' }],
  ['a file that is a folder too', { a: '', 'a/b': '' }],
  ['a folder that is a file too', { 'a/b': '', a: '' }],
  ['a name that is too long', { ['n'.repeat(256)]: '' }],
  ['too many folders', { 'a/b/c/d/e/f/g/h': '' }],
])('%s is refused', (_what, files) => {
  expect(() => buildIso({ label: 'x', files })).toThrow(RangeError)
})

test.each(['', 'x'.repeat(33), 'ü', 'a\nb'])('the label %j is refused', (label) => {
  expect(() => buildIso({ label, files: {} })).toThrow(/label/)
})

test('an image is written whole, and for its owner alone', async () => {
  await using folder = await makeFolder()
  const file = join(folder.path, 'seed.iso')
  await writeIso(file, { label: 'cidata', files: SEED })
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  await writeIso(file, { label: 'cidata', files: { ...SEED, 'user-data': 'new' } })
  expect(readRockRidge(await readFile(file))['user-data']).toBe('new')
  await expect(writeIso(file, { label: '', files: {} })).rejects.toThrow(RangeError)
  expect(await readdir(folder.path)).toEqual(['seed.iso'])
})

const hasIsoinfo = (() => {
  try {
    execFileSync('isoinfo', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()

describe.skipIf(!hasIsoinfo)('as isoinfo reads it (skipped without the package genisoimage)', () => {
  test('both trees have all files', async () => {
    await using folder = await makeFolder()
    const file = join(folder.path, 'seed.iso')
    await writeIso(file, { label: 'config-2', files: SEED })
    const isoinfo = (...args: string[]) =>
      execFileSync('isoinfo', [...args, '-i', file], { encoding: 'utf8' })
    expect(isoinfo('-d')).toMatch(/Volume id: config-2\n[^]*Joliet with UCS level 3[^]*Rock Ridge/)
    for (const tree of ['-R', '-J']) {
      const found = isoinfo(tree, '-f')
        .trim()
        .split('\n')
        .map((path) => path.slice(1))
      expect(found.toSorted()).toEqual([...Object.keys(SEED), 'openstack', 'openstack/latest'].toSorted())
      const contents = isoinfo(tree, '-x', '/openstack/latest/user_data')
      expect(createHash('sha256').update(contents).digest('hex')).toBe(
        createHash('sha256').update(SEED['openstack/latest/user_data']).digest('hex'),
      )
    }
  })
})
