import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  identify,
  isAlive,
  type ProcessId,
  signalProcess,
  spawnQemu,
  waitForExit,
} from '../../src/qemu/process.ts'

let dir: string
let logFile: string
const started: ProcessId[] = []

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'vg-'))
  logFile = join(dir, 'qemu.log')
})

afterEach(async () => {
  for (const id of started.splice(0)) {
    signalProcess(id, 'SIGKILL')
    await waitForExit(id)
  }
  rmSync(dir, { recursive: true, force: true })
})

async function run(script: string, ...args: string[]): Promise<ProcessId & { logOffset: number }> {
  const id = await spawnQemu({ binary: '/bin/sh', argv: ['-c', script, ...args], logFile })
  started.push(id)
  return id
}

describe('a started process', () => {
  test('has a session of its own, so that our end is not its end', async () => {
    const id = await run('sleep 60')
    const fields = readFileSync(`/proc/${id.pid}/stat`, 'utf8').split(') ')[1]?.split(' ')
    expect(fields?.slice(2, 4)).toEqual([String(id.pid), String(id.pid)])
    expect(isAlive(id)).toBe(true)
  })

  test('outlives the program that started it', async () => {
    const program = `
      import { spawnQemu } from '${join(import.meta.dirname, '../../src/qemu/process.ts')}'
      const id = await spawnQemu({ binary: '/bin/sleep', argv: ['60'], logFile: '${logFile}' })
      process.stdout.write(JSON.stringify(id))
      process.kill(process.pid, 'SIGKILL')`
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
    await once(child, 'close')
    const id = JSON.parse(text) as ProcessId
    started.push(id)
    expect(isAlive(id)).toBe(true)
  })

  test('prints to the log file, behind what was there', async () => {
    await waitForExit(await run('echo first'))
    const second = await run('echo out; echo err >&2')
    await waitForExit(second)
    expect(readFileSync(logFile, 'utf8')).toBe('first\nout\nerr\n')
    expect(second.logOffset).toBe('first\n'.length)
  })

  test('makes files for its own user alone, dumps no core, and has no way to our input', async () => {
    const id = await run(`touch ${dir}/made; ulimit -c; exec sleep 60`)
    await expect.poll(() => readFileSync(logFile, 'utf8')).toBe('0\n')
    expect(statSync(join(dir, 'made')).mode & 0o777).toBe(0o600)
    expect(readlinkSync(`/proc/${id.pid}/fd/0`)).toBe('/dev/null')
  })

  test('gets its arguments as they are, whatever they hold', async () => {
    const args = ['a b', '$(id)', '', '-x', "'", '"', 'ü\n']
    await waitForExit(await run('shift 0; for arg in "$0" "$@"; do printf "<%s>" "$arg"; done', ...args))
    expect(readFileSync(logFile, 'utf8')).toBe(args.map((arg) => `<${arg}>`).join(''))
  })

  test.skipIf(process.getuid?.() !== 0)(
    'runs as the user it is told to, without groups of ours',
    async () => {
      const id = await spawnQemu({
        binary: '/bin/sh',
        argv: ['-c', 'id -u; id -g; id -G'],
        logFile,
        uid: 65534,
        gid: 65534,
      })
      await waitForExit(id)
      expect(readFileSync(logFile, 'utf8')).toBe('65534\n65534\n65534\n')
    },
  )

  test('that cannot be started says so', async () => {
    await expect(spawnQemu({ binary: '/no/such/qemu', argv: [], logFile })).rejects.toThrow(
      /ENOENT.*no\/such\/qemu/,
    )
    await expect(spawnQemu({ binary: '/bin/sh', argv: [], logFile: '/no/such/log' })).rejects.toThrow(
      /ENOENT/,
    )
  })
})

describe('identity', () => {
  test('ends with the process, and signals then go nowhere', async () => {
    const id = await run('sleep 60')
    expect(signalProcess(id, 'SIGTERM')).toBe(true)
    await waitForExit(id)
    expect(isAlive(id)).toBe(false)
    expect(signalProcess(id, 'SIGTERM')).toBe(false)
  })

  test.each([
    ['another start time', { startTicks: '1' }],
    ['another boot', { bootId: '00000000-0000-0000-0000-000000000000' }],
  ])('a process with the same number and %s is another one: it is not signalled', (_what, other) => {
    const own = identify(process.pid)
    if (!own) throw new Error('this process is not there')
    expect(isAlive(own)).toBe(true)
    expect(isAlive({ ...own, ...other })).toBe(false)
    expect(signalProcess({ ...own, ...other }, 'SIGKILL')).toBe(false)
  })

  test('a name with parentheses and blanks does not hide the start time', async () => {
    const id = await run(
      'exec 2>&1; printf ") R 1 (" > /proc/$$/comm; exec 3</dev/null; read line < /dev/zero',
    )
    await expect.poll(() => readFileSync(`/proc/${id.pid}/stat`, 'utf8')).toContain(') R 1 (')
    expect(identify(id.pid)).toMatchObject({ startTicks: id.startTicks })
  })

  test('a zombie is not alive', async () => {
    const parent = spawn('/bin/sh', ['-c', 'sleep 0.01 & echo $!; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [chunk] = (await once(parent.stdout, 'data')) as [Buffer]
    const pid = Number(chunk.toString())
    await expect.poll(() => readFileSync(`/proc/${pid}/stat`, 'utf8')).toContain(') Z ')
    const id = identify(pid)
    expect(id && isAlive(id)).toBe(false)
    parent.kill('SIGKILL')
    await once(parent, 'close')
  })

  test('waiting for the end stops when told to', async () => {
    const id = await run('sleep 60')
    const stop = new AbortController()
    const waiting = waitForExit(id, stop.signal)
    stop.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
  })
})
