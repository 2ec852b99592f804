import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, truncateSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openAuditLog } from '../../src/roles/log.ts'
import { RotatingFile } from '../../src/roles/rotating-file.ts'

let dir: string
let file: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'vg-rotate-'))
  file = join(dir, 'audit.log')
})
afterEach(() => rm(dir, { recursive: true }))

const line = (number: number) => `${String(number).padStart(9, '0')}\n`
const numbersIn = (name: string) =>
  readFileSync(join(dir, name), 'utf8').split('\n').filter(Boolean).map(Number)

function writeLines(log: RotatingFile, from: number, to: number): void {
  for (let number = from; number < to; number += 1) log.write(line(number))
}

test('a file that is full makes room, and so many older ones stay', () => {
  writeLines(new RotatingFile(file, { maxBytes: 50, backups: 2 }), 0, 23)
  expect(readdirSync(dir).toSorted()).toEqual(['audit.log', 'audit.log.1', 'audit.log.2'])
  expect([numbersIn('audit.log.2'), numbersIn('audit.log.1'), numbersIn('audit.log')]).toEqual([
    [10, 11, 12, 13, 14],
    [15, 16, 17, 18, 19],
    [20, 21, 22],
  ])
  expect(statSync(file).mode & 0o777).toBe(0o600)
})

test('a new process goes on with the file that is there, and its length', () => {
  const limits = { maxBytes: 50, backups: 9 }
  writeLines(new RotatingFile(file, limits), 0, 7)
  writeLines(new RotatingFile(file, limits), 7, 12)
  expect([numbersIn('audit.log.1'), numbersIn('audit.log')]).toEqual([
    [5, 6, 7, 8, 9],
    [10, 11],
  ])
})

test('without a limit it is one file, and without older ones the full one goes', () => {
  writeLines(new RotatingFile(file, { maxBytes: 0, backups: 3 }), 0, 100)
  expect(numbersIn('audit.log')).toHaveLength(100)
  writeLines(new RotatingFile(file, { maxBytes: 50, backups: 0 }), 100, 101)
  expect(readdirSync(dir)).toEqual(['audit.log'])
  expect(numbersIn('audit.log')).toEqual([100])
})

test('a line longer than a file has one of its own', () => {
  const log = new RotatingFile(file, { maxBytes: 5, backups: 3 })
  writeLines(log, 0, 3)
  expect([numbersIn('audit.log.2'), numbersIn('audit.log.1'), numbersIn('audit.log')]).toEqual([
    [0],
    [1],
    [2],
  ])
})

test('whoever moves it away, or cuts it, takes no line with it that comes later', () => {
  const log = new RotatingFile(file, { maxBytes: 1000, backups: 3 })
  log.write(line(0))
  renameSync(file, `${file}-moved`)
  writeLines(log, 1, 3)
  expect([numbersIn('audit.log-moved'), numbersIn('audit.log')]).toEqual([[0], [1, 2]])
  truncateSync(file)
  writeLines(log, 3, 5)
  expect(numbersIn('audit.log')).toEqual([3, 4])
})

test('two processes that share a file lose none of their lines', () => {
  const limits = { maxBytes: 200, backups: 50 }
  const [one, other] = [new RotatingFile(file, limits), new RotatingFile(file, limits)]
  for (let number = 0; number < 200; number += 2) {
    one.write(line(number))
    other.write(line(number + 1))
  }
  const all = readdirSync(dir).flatMap(numbersIn)
  expect(all.toSorted((left, right) => left - right)).toEqual(
    Array.from({ length: 200 }, (_, index) => index),
  )
})

test('a line that the file does not take goes elsewhere', () => {
  const spare: string[] = []
  const log = new RotatingFile(file, { maxBytes: 50, backups: 1 }, (text) => spare.push(text))
  writeLines(log, 0, 5)
  // In the way of the older file.
  mkdirSync(`${file}.1`)
  writeLines(log, 5, 6)
  expect(spare).toEqual([line(5), expect.stringContaining('EISDIR')])
})

test('a process that is killed in the middle of it has lost no line that it had written', () => {
  const module = new URL('../../src/roles/rotating-file.ts', import.meta.url).href
  const program = `
    const { RotatingFile } = await import(${JSON.stringify(module)})
    const log = new RotatingFile(${JSON.stringify(file)}, { maxBytes: 300, backups: 1000 })
    for (let number = 0; ; number += 1) {
      log.write(String(number).padStart(9, '0') + '\\n')
      process.stdout.write(number + '\\n')
    }`
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    timeout: 1500,
    killSignal: 'SIGKILL',
    maxBuffer: 64 * 1024 * 1024,
  })
  const told = String(stdout).split('\n').slice(0, -1).map(Number)
  expect(told.length).toBeGreaterThan(100)
  const kept = new Set(readdirSync(dir).flatMap(numbersIn))
  const oldest = Math.min(...kept)
  expect(told.filter((number) => number >= oldest && !kept.has(number))).toEqual([])
})

test('the audit log is cut by its own limits', () => {
  const log = openAuditLog(file, { auditLogMaxsize: 1, auditLogMaxbackup: 1 })
  for (let number = 0; number < 20; number += 1) log.info({ user: 'x'.repeat(100_000) }, 'action done')
  expect(readdirSync(dir).toSorted()).toEqual(['audit.log', 'audit.log.1'])
  const [first] = readFileSync(file, 'utf8').split('\n')
  expect(JSON.parse(first ?? '')).toMatchObject({ log: 'audit', msg: 'action done' })
})
