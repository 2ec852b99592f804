import { expect, test } from 'vitest'
import { type CpioEntry, buildCpio } from '../../src/guest/cpio.ts'

interface Member {
  path: string
  mode: number
  data: string
  device: [number, number]
}

/** Reads an archive by the layout in Linux' `buffer-format.rst`. */
function readCpio(archive: Buffer): Member[] {
  const members: Member[] = []
  for (let at = 0; ;) {
    expect(archive.toString('latin1', at, at + 6)).toBe('070701')
    const field = (index: number) =>
      Number.parseInt(archive.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16)
    const nameEnd = at + 110 + field(11)
    const path = archive.toString('utf8', at + 110, nameEnd - 1)
    expect(archive[nameEnd - 1]).toBe(0)
    const start = Math.ceil(nameEnd / 4) * 4
    const end = start + field(6)
    if (path === 'TRAILER!!!') return members
    members.push({
      path,
      mode: field(1),
      data: archive.toString('utf8', start, end),
      device: [field(9), field(10)],
    })
    at = Math.ceil(end / 4) * 4
  }
}

const ENTRIES: CpioEntry[] = [
  { path: 'bin', type: 'folder', mode: 0o755 },
  { path: 'bin/tool', type: 'file', mode: 0o755, data: Buffer.from('12345') },
  { path: 'bin/empty', type: 'file', mode: 0o644, data: Buffer.alloc(0) },
  { path: 'sbin', type: 'link', target: 'bin' },
  { path: 'console', type: 'device', mode: 0o600, major: 5, minor: 1 },
]

test('an archive holds files, folders, links and devices', () => {
  expect(readCpio(buildCpio(ENTRIES))).toEqual([
    { path: 'bin', mode: 0o040755, data: '', device: [0, 0] },
    { path: 'bin/tool', mode: 0o100755, data: '12345', device: [0, 0] },
    { path: 'bin/empty', mode: 0o100644, data: '', device: [0, 0] },
    { path: 'sbin', mode: 0o120777, data: 'bin', device: [0, 0] },
    { path: 'console', mode: 0o020600, data: '', device: [5, 1] },
  ])
})

test('names and contents of any length keep their places', () => {
  const entries = Array.from({ length: 40 }, (_, at): CpioEntry => {
    return { path: 'n'.repeat(at + 1), type: 'file', mode: 0o600, data: Buffer.alloc(at * 3, 'd') }
  })
  const found = readCpio(buildCpio(entries)).map(({ path, data }) => [path.length, data.length])
  expect(found).toEqual(entries.map((_, at) => [at + 1, at * 3]))
})

test('the same entries make the same bytes', () => {
  expect(buildCpio(ENTRIES).equals(buildCpio(ENTRIES))).toBe(true)
})
