import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { lastQemuError, scrubPaths } from '../../src/qemu/log.ts'

let dir: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'vg-'))
})

afterEach(() => rmSync(dir, { recursive: true, force: true }))

const Q = '2026-01-02T03:04:05.678901Z qemu-system-x86_64: '

test.each([
  ['the last message counts', `${Q}first\n${Q}second\n`, 'second'],
  [
    'the hint behind it does not',
    'qemu-system-x86_64: unsupported machine type\nUse -machine help to list\n',
    'unsupported machine type',
  ],
  ['a warning counts less', `${Q}Failed to lock\n${Q}warning: slow\n`, 'Failed to lock'],
  ['a warning counts where there is nothing else', `${Q}warning: slow\n`, 'warning: slow'],
  [
    'the argument in front is left out',
    `${Q}-device {"driver":"igb","id":"a: b"}: 'igb' is not a valid device model name`,
    "'igb' is not a valid device model name",
  ],
  [
    'directories of the host are cut off',
    `${Q}Could not open '/var/lib/vg/6f9a/disks/root.qcow2': No such file`,
    "Could not open 'root.qcow2': No such file",
  ],
  [
    'device files stay',
    `${Q}Could not access KVM: /dev/kvm: Permission denied`,
    'Could not access KVM: /dev/kvm: Permission denied',
  ],
  ['a line that is not QEMU’s own is better than nothing', 'Segmentation fault\n\n', 'Segmentation fault'],
  ['an empty log says nothing', '', ''],
])('%s', async (_what, text, message) => {
  const file = join(dir, 'qemu.log')
  writeFileSync(file, text)
  expect(await lastQemuError(file)).toBe(message)
})

test('what an earlier start wrote is left out', async () => {
  const file = join(dir, 'qemu.log')
  writeFileSync(file, `${Q}old\n`)
  expect(await lastQemuError(file, `${Q}old\n`.length)).toBe('')
})

test('only the end of a long log is read', async () => {
  const file = join(dir, 'qemu.log')
  writeFileSync(file, `${Q}old\n${'x'.repeat(100_000)}\n${Q}new\n`)
  expect(await lastQemuError(file)).toBe('new')
})

test('paths in texts of any kind lose their directories', () => {
  expect(scrubPaths('open /a/b/c.img, "/d/e" and 1/2 at http://h/p')).toBe(
    'open c.img, "e" and 1/2 at http://h/p',
  )
})
