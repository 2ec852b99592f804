import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import { systemClock } from '../../../src/lib/clock.ts'
import type { ExecOptions } from '../../../src/rpc/actions.ts'
import type { GuestState } from '../../../src/worker/guest/state.ts'
import { readExec } from '../../helpers/exec-output.ts'
import type { AgentAnswers } from '../../helpers/fake-agent.ts'
import { GuestPrograms } from '../../helpers/guest-programs.ts'
import { eventually } from '../../helpers/server.ts'
import { GOOD, makeSituation } from './situation.ts'

const cleanups: AsyncDisposable[] = []
afterEach(async () => {
  for (const each of cleanups.splice(0)) await each[Symbol.asyncDispose]()
})

/** A guest whose programs run on this machine; `first` may answer before they do. */
async function makeGuest(first: AgentAnswers = () => undefined, change: Partial<GuestState> = {}) {
  const programs = new GuestPrograms()
  const it = await makeSituation(
    (command, socket) => first(command, socket) ?? programs.answer(command) ?? GOOD[command.execute],
    systemClock,
    change,
  )
  cleanups.push({
    async [Symbol.asyncDispose]() {
      // What ends in the background removes its folder on this machine.
      const isClean = async () => it.record.state.execs === undefined
      if (!change.execs) await eventually('cleaned up', 3_000, isClean).catch(() => {})
      await it[Symbol.asyncDispose]()
      programs[Symbol.dispose]()
    },
  })
  const run = async (command: string[], options: Partial<ExecOptions> = {}) =>
    it.agent.execs.run(it.machine, { command, timeoutSeconds: 0, ...options })
  return { ...it, programs, run }
}

test.each([
  [
    'prints and ends',
    ['sh', '-c', 'printf out; printf err >&2; exit 3'],
    { stdout: 'out', stderr: 'err', exitCode: 3 },
  ],
  ['prints nothing', ['true'], { stdout: '', stderr: '', exitCode: 0 }],
  ['is not there', ['/no/such/program'], { exitCode: 127 }],
  ['is ended by a signal', ['sh', '-c', 'kill -9 $$'], { exitCode: 137 }],
  [
    'is named like a shell command',
    ['printf', '%s', '"; touch /tmp/virtgate-oops; $(id)'],
    { stdout: '"; touch /tmp/virtgate-oops; $(id)', exitCode: 0 },
  ],
  ['reads what nobody types', ['cat'], { stdout: '', exitCode: 0 }],
])('a program that %s', async (_what, command, result) => {
  const { run, record, programs } = await makeGuest()
  const stream = await run(command)
  const [folder = ''] = record.state.execs ?? []
  expect(existsSync(folder)).toBe(true)
  expect(await readExec(stream)).toMatchObject(result)
  await eventually('cleaned up', 5_000, async () => !existsSync(folder) && record.state.execs === undefined)
  expect(programs.openFiles).toBe(0)
})

test('output that is longer than its parts comes whole, though answers get lost on the way', async () => {
  let reads = 0
  const { run } = await makeGuest(({ execute }, socket) => {
    // The agent has read it, and nobody hears of it.
    if (execute !== 'guest-file-read' || ++reads % 7 !== 0) return undefined
    socket.destroy()
    return undefined
  })
  const script = 'i=0; while [ $i -lt 400000 ]; do echo $i; i=$((i+1)); done'
  const { stdout, exitCode } = await readExec(await run(['sh', '-c', script]))
  expect(exitCode).toBe(0)
  expect(stdout).toBe(Array.from({ length: 400_000 }, (_, index) => `${index}\n`).join(''))
}, 60_000)

test('an answer that says how it ended may get lost', async () => {
  let isLost = false
  let programs: GuestPrograms | undefined
  const made = await makeGuest((command, socket) => {
    if (command.execute !== 'guest-exec-status' || isLost) return undefined
    const answer = programs?.answer(command) as { exited?: boolean; 'out-data'?: string }
    if (answer.exited && answer['out-data'] === undefined) {
      isLost = true
      socket.destroy()
    }
    return answer
  })
  programs = made.programs
  expect(await readExec(await made.run(['sh', '-c', 'echo hi; exit 5']))).toMatchObject({
    stdout: 'hi\n',
    exitCode: 5,
  })
  expect(isLost).toBe(true)
})

test('one that runs too long is ended with all that it has started', async () => {
  const { run } = await makeGuest()
  const stream = await run(['sh', '-c', 'sleep 98761 & sleep 98762'], { timeoutSeconds: 1 })
  expect(await readExec(stream)).toMatchObject({ failure: expect.stringContaining('longer than 1 s') })
  expect(processes('sleep 9876')).toEqual([])
})

test('one that nobody reads any more is ended', async () => {
  const { run, record } = await makeGuest()
  const stream = await run(['sleep', '98763'])
  await eventually('runs', 5_000, async () => processes('sleep 98763').length > 0)
  stream.destroy()
  await eventually('ended', 5_000, async () => processes('sleep 98763').length === 0 && !record.state.execs)
  expect(await readExec(await run(['true']))).toMatchObject({ exitCode: 0 })
})

test('what an earlier worker has left running is ended, and no other process that has its number', async () => {
  const { run, record, agent, machine, fake } = await makeGuest()
  await run(['sleep', '98764'])
  await eventually('runs', 5_000, async () => processes('sleep 98764').length > 0)
  const next = await makeGuest(undefined, { execs: record.state.execs ?? [] })
  next.agent.look(next.machine)
  await eventually(
    'ended',
    5_000,
    async () => processes('sleep 98764').length === 0 && !next.record.state.execs,
  )
  expect([agent, machine, fake]).toBeDefined()
})

test('without a shell, output comes at the end', async () => {
  const { run, programs, record } = await makeGuest()
  programs.missing = ['/bin/sh']
  expect(await readExec(await run(['printf', 'all at once']))).toMatchObject({
    stdout: 'all at once',
    exitCode: 0,
  })
  expect(record.state.execs).toBeUndefined()
  const stream = await run(['sleep', '98765'], { timeoutSeconds: 1 })
  expect(await readExec(stream)).toMatchObject({ failure: expect.stringContaining('longer') })
  await eventually('ended', 5_000, async () => processes('sleep 98765').length === 0)
})

test('an agent that runs nothing says so; a command that is none is not asked for; many at once are refused', async () => {
  const { run } = await makeGuest(({ execute }) =>
    execute === 'guest-exec' ? new Error('Command guest-exec has been disabled') : undefined,
  )
  await expect(run(['ls'])).rejects.toMatchObject({
    refused: true,
    said: expect.stringContaining('disabled'),
  })
  await expect(run([''])).rejects.toMatchObject({ code: 400 })
  await expect(run(['a\0b'])).rejects.toMatchObject({ code: 400 })
  await expect(run(['x'.repeat(40_000)])).rejects.toMatchObject({ code: 400 })
  const other = await makeGuest()
  const streams = await Promise.all(Array.from({ length: 4 }, async () => other.run(['sleep', '98766'])))
  await expect(other.run(['ls'])).rejects.toMatchObject({ code: 429 })
  for (const stream of streams) stream.destroy()
  await eventually('ended', 10_000, async () => processes('sleep 98766').length === 0)
})

test('an agent that claims odd folders is not believed', async () => {
  const { run, fake } = await makeGuest(({ execute, arguments: args }) => {
    if (execute === 'guest-exec') return { pid: 7 }
    if (execute !== 'guest-exec-status') return undefined
    const isFirst = fake.asked.filter((each) => each === 'guest-exec-status').length === 1
    const lie = Buffer.from('/etc\n').toString('base64')
    return {
      exited: true,
      exitcode: 0,
      'out-data': isFirst ? lie : Buffer.from(String(args?.pid)).toString('base64'),
    }
  })
  expect(await readExec(await run(['ls']))).toMatchObject({ stdout: '7', exitCode: 0 })
  expect(fake.asked).not.toContain('guest-file-open')
})

/** Command lines on this machine that begin so. */
function processes(beginning: string): string[] {
  const lines = execFileSync('ps', ['-eo', 'stat,args'], { encoding: 'utf8' }).split('\n')
  return lines.filter((line) => !line.startsWith('Z') && line.replace(/^\S+\s+/, '').startsWith(beginning))
}
