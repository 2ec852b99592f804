import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { connectQmp, QmpClosed, QmpError, QmpTimeout } from '../../../src/qemu/qmp/client.ts'

const PROGRAM = join(import.meta.dirname, '../../programs/fake-qemu.ts')

let dir: string
let path: string
let program: ChildProcess | undefined

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'vg-'))
  path = join(dir, 'qmp.sock')
})

afterEach(async () => {
  if (program && program.exitCode === null && program.kill('SIGKILL')) await once(program, 'exit')
  program = undefined
  rmSync(dir, { recursive: true, force: true })
})

function startProgram(): void {
  program = spawn(process.execPath, [PROGRAM, path], { stdio: ['ignore', 'inherit', 'inherit'] })
}

describe('connecting to a monitor', () => {
  test('waits for a socket that is not there yet', async () => {
    const connecting = connectQmp(path)
    startProgram()
    await using qmp = await connecting
    expect(qmp.greeting.version.qemu).toEqual({ major: 7, minor: 2, micro: 22 })
    expect(await qmp.execute('query-status')).toEqual({ status: 'prelaunch', running: false })
  })

  test('gives up as soon as the process has died', async () => {
    const started = performance.now()
    await expect(connectQmp(path, { alive: () => false })).rejects.toThrow(QmpClosed)
    expect(performance.now() - started).toBeLessThan(1000)
  })

  test('gives up after its time, and says where', async () => {
    await expect(connectQmp(path, { timeoutMs: 20 })).rejects.toThrow(`within 20 ms: connecting to ${path}`)
  })

  test('gives up when told to, with the reason', async () => {
    const stop = new AbortController()
    const connecting = connectQmp(path, { signal: stop.signal })
    stop.abort(new Error('the worker stops'))
    await expect(connecting).rejects.toThrow('the worker stops')
    await expect(connectQmp(path, { signal: stop.signal })).rejects.toThrow('the worker stops')
  })

  test('waits behind a client that is there already', async () => {
    startProgram()
    const first = await connectQmp(path)
    await expect(connectQmp(path, { timeoutMs: 100 })).rejects.toThrow(QmpTimeout)
    const second = connectQmp(path)
    await first.close()
    await using qmp = await second
    expect(await qmp.execute('query-status')).toMatchObject({ status: 'prelaunch' })
  })

  test('refuses what is no monitor', async () => {
    const server = createServer((socket) => socket.end('SSH-2.0-OpenSSH\r\n')).listen(path)
    await expect(connectQmp(path)).rejects.toThrow('does not speak QMP: SSH-2.0-OpenSSH')
    server.close()
  })
})

describe('a command', () => {
  test('that QEMU refuses says which, why and of which class', async () => {
    startProgram()
    await using qmp = await connectQmp(path)
    const error: unknown = await qmp.execute('x-unknown').catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(QmpError)
    expect(error).toMatchObject({
      command: 'x-unknown',
      class: 'CommandNotFound',
      desc: 'The command x-unknown has not been found',
      message: 'QEMU refused x-unknown: The command x-unknown has not been found',
    })
  })

  test('is answered by its own reply, whatever the order', async () => {
    startProgram()
    await using qmp = await connectQmp(path)
    const answers = await Promise.all([qmp.execute('x-slow'), qmp.execute('query-status')])
    expect(answers).toEqual(['late', { status: 'prelaunch', running: false }])
  })

  test('is understood whatever pieces its reply comes in', async () => {
    startProgram()
    await using qmp = await connectQmp(path)
    expect(await qmp.execute('x-bytes')).toBe('Grüße 😀')
  })

  test('that is not answered in time is given up; the next one is not disturbed', async () => {
    startProgram()
    await using qmp = await connectQmp(path)
    await expect(qmp.execute('x-silent', {}, { timeoutMs: 20 })).rejects.toThrow('within 20 ms: x-silent')
    await expect(qmp.execute('x-slow', {}, { timeoutMs: 20 })).rejects.toThrow(QmpTimeout)
    await expect(qmp.execute('x-slow')).resolves.toBe('late')
  })

  test('ends with the reason of its signal', async () => {
    startProgram()
    await using qmp = await connectQmp(path)
    const stop = new AbortController()
    const silent = qmp.execute('x-silent', {}, { signal: stop.signal })
    stop.abort(new Error('no longer wanted'))
    await expect(silent).rejects.toThrow('no longer wanted')
  })

  test('carries numbers of 64 bits, both ways', async () => {
    startProgram()
    await using qmp = await connectQmp(path)
    const { stats } = await qmp.execute<{ stats: object }>('qom-get', {
      path: '/machine',
      property: 'guest-stats',
    })
    expect(stats).toEqual({ 'stat-free-memory': 2n ** 64n - 1n, 'stat-total-memory': 1024 })
    expect(await qmp.execute('qom-set', { value: 2n ** 63n + 1n })).toContain('"value":9223372036854775809')
  })

  test.each(['x-garbage', 'x-hang-up', 'quit'])('fails where the connection ends: %s', async (command) => {
    startProgram()
    const qmp = await connectQmp(path)
    const silent = qmp.execute('x-silent').catch((error: unknown) => error)
    await qmp.execute(command).catch(() => {})
    await qmp.closed
    expect(await silent).toBeInstanceOf(QmpClosed)
    await expect(qmp.execute('query-status')).rejects.toThrow(QmpClosed)
  })
})

describe('events', () => {
  test('reach those who listen to their name, or to all, until they stop', async () => {
    startProgram()
    await using qmp = await connectQmp(path)
    const seen: string[] = []
    const off = qmp.events.on('STOP', ({ event }) => seen.push(event))
    qmp.events.on('*', ({ event, data }) => seen.push(`*${event}${JSON.stringify(data)}`))
    qmp.events.once('RESUME', ({ event }) => seen.push(`1${event}`))
    for (const command of ['cont', 'stop', 'cont']) await qmp.execute(command)
    off()
    await qmp.execute('stop')
    await qmp.execute('query-status')
    expect(seen).toEqual(['1RESUME', '*RESUME{}', 'STOP', '*STOP{}', '*RESUME{}', '*STOP{}'])
  })

  test('can be waited for by what they say', async () => {
    startProgram()
    await using qmp = await connectQmp(path)
    const gone = qmp.events.waitFor('DEVICE_DELETED', ({ data }) => data.device === 'ua-b')
    for (const device of ['ua-a', 'ua-b'])
      await qmp.execute('x-event', { event: 'DEVICE_DELETED', data: { device } })
    expect(await gone).toEqual({
      event: 'DEVICE_DELETED',
      data: { device: 'ua-b' },
      timestamp: { seconds: 1_700_000_000, microseconds: 5 },
    })
  })

  test('that do not come end the waiting in time, by a signal, or with the connection', async () => {
    startProgram()
    const qmp = await connectQmp(path)
    await expect(qmp.events.waitFor('RESET', undefined, { timeoutMs: 20 })).rejects.toThrow('event RESET')
    const aborted = AbortSignal.abort(new Error('enough'))
    await expect(qmp.events.waitFor('RESET', undefined, { signal: aborted })).rejects.toThrow('enough')
    const waiting = qmp.events.waitFor('RESET').catch((error: unknown) => error)
    await qmp.close()
    expect(await waiting).toBeInstanceOf(QmpClosed)
  })

  test('closing leaves QEMU running', async () => {
    startProgram()
    const qmp = await connectQmp(path)
    await qmp.close()
    await qmp.closed
    expect(program?.exitCode).toBeNull()
    expect(existsSync(path)).toBe(true)
    await using again = await connectQmp(path)
    expect(await again.execute('query-status')).toMatchObject({ status: 'prelaunch' })
  })
})
