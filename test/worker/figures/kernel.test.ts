import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { identify } from '../../../src/qemu/process.ts'
import { readCards } from '../../../src/worker/figures/network.ts'
import { parseWait, readProcess, readThread } from '../../../src/worker/figures/process.ts'

test('a process is told of by its number and its start', () => {
  const own = identify(process.pid)
  if (!own) throw new Error('this process is not in /proc')
  const figures = readProcess(own)
  const { user } = process.cpuUsage()
  expect(figures?.userSeconds).toBeGreaterThan(0)
  expect(Math.abs((figures?.userSeconds ?? 0) - user / 1e6)).toBeLessThan(1)
  expect(figures?.residentBytes).toBeGreaterThan(10_000_000)
  expect(readThread(process.pid, process.pid)?.runSeconds).toBeGreaterThan(0)
})

test('another process that got its number is not told of', () => {
  expect(readProcess({ pid: process.pid, startTicks: '1', bootId: '' })).toBeUndefined()
  expect(readThread(process.pid, 999_999_999)).toBeUndefined()
})

test.each([
  ['older kernels', 'se.statistics.wait_sum                       :            12.500000', 0.0125],
  ['newer kernels', 'wait_sum                                     :            12.500000', 0.0125],
  ['kernels without statistics', 'se.vruntime :  1.0\nnr_switches : 5', undefined],
])('the time that a thread waited as %s tell it', (_which, text, seconds) => {
  expect(parseWait(`task (1, #threads: 1)\n-----\n${text}\npolicy : 0\n`)).toBe(seconds)
})

test('what the host sends over a card the guest receives; a card that is gone is left out', async () => {
  const root = await mkdtemp(join(tmpdir(), 'vg-cards-'))
  try {
    const dir = join(root, 'vg1', 'statistics')
    await mkdir(dir, { recursive: true })
    await writeFile(join(dir, 'tx_bytes'), '100\n')
    await writeFile(join(dir, 'rx_bytes'), '200\n')
    await writeFile(join(dir, 'rx_dropped'), '3\n')
    const card = { bridge: 'br0', mac: '02:00:00:00:00:01' }
    const taps = [
      { ...card, interface: 'lan', device: 'vg1' },
      { ...card, interface: 'gone', device: 'vg2' },
    ]
    const figures = readCards(taps, root).toSorted((a, b) => (a.series < b.series ? -1 : 1))
    expect(figures).toEqual([
      { card: 'lan', series: 'receive_bytes_total', value: 100 },
      { card: 'lan', series: 'transmit_bytes_total', value: 200 },
      { card: 'lan', series: 'transmit_packets_dropped_total', value: 3 },
    ])
  } finally {
    await rm(root, { recursive: true })
  }
})
