import { chmodSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { spawnQemu, waitForExit } from '../../src/qemu/process.ts'
import { probeKvm, probeQemu, QemuUnusable, resolveMachineType } from '../../src/qemu/probe.ts'
import { connectQmp, QmpError } from '../../src/qemu/qmp/client.ts'
import { QEMU, requireQemu } from '../helpers/guest.ts'

let dir: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'vg-'))
})

afterEach(() => rmSync(dir, { recursive: true, force: true }))

/** A program in place of QEMU. */
function program(name: string, script: string): string {
  const file = join(dir, name)
  writeFileSync(file, `#!/bin/sh\n${script}\n`)
  chmodSync(file, 0o755)
  return file
}

const describeQemu = requireQemu()

describeQemu('the QEMU of this machine', () => {
  test('is found, and says what it can do', async () => {
    const found = await probeQemu()
    expect(found.binary).toMatch(new RegExp(`^/.*/${QEMU}$`))
    expect(found.version.major).toBeGreaterThanOrEqual(7)
    expect(resolveMachineType(found, 'q35')).toMatch(/^pc-q35-\d/)
    expect(resolveMachineType(found, 'pc-q35-7.2')).toBe('pc-q35-7.2')
    expect(resolveMachineType(found, 'pc')).toBeUndefined()
    expect(found.machines[0]?.alias).toBe('q35')
    // Of QEMU 7.2; a later one has others, or lacks these.
    const isDeprecated = found.deprecatedMachines.includes('pc-i440fx-1.4')
    expect(isDeprecated).toBe(found.version.major === 7)
    expect(found.cpuModels).toEqual(expect.arrayContaining(['max', 'Haswell']))
    expect(found.cpuFeatures).toContain('sse4.2')
    expect(found.deviceTypes).toEqual(expect.arrayContaining(['virtio-blk-pci', 'VGA', 'i6300esb']))
    expect(found.commands).toEqual(expect.arrayContaining(['query-status', 'device_add']))
  })

  test('is asked again only when it changes', async () => {
    const { binary } = await probeQemu()
    const wrapper = program('qemu', `echo run >> ${dir}/runs; exec ${binary} "$@"`)
    const options = { binary: wrapper, cacheFile: join(dir, 'cache.json') }
    const runs = (): number => readFileSync(join(dir, 'runs'), 'utf8').split('run').length - 1
    const first = await probeQemu(options)
    expect(await probeQemu(options)).toEqual(first)
    expect(runs()).toBe(1)
    utimesSync(wrapper, 1, 1)
    await probeQemu(options)
    expect(runs()).toBe(2)
    // What an earlier version of the program has kept lacks what this one looks for.
    const kept = readFileSync(options.cacheFile, 'utf8')
    writeFileSync(options.cacheFile, kept.replace(/"key":"\[\d+,/, '"key":"[1,').replace('deprecated', 'x'))
    expect((await probeQemu(options)).deprecatedMachines).toEqual(first.deprecatedMachines)
    expect(runs()).toBe(3)
    writeFileSync(options.cacheFile, '{"key": "cut')
    await probeQemu(options)
    expect(runs()).toBe(4)
  })

  test('speaks the same QMP as our client, with no machine at all', async () => {
    const socket = join(dir, 'qmp.sock')
    const argv = [
      '-machine',
      'none',
      '-nodefaults',
      '-display',
      'none',
      '-S',
      '-qmp',
      `unix:${socket},server=on,wait=off`,
    ]
    const { binary } = await probeQemu()
    const qemu = await spawnQemu({ binary, argv, logFile: join(dir, 'log') })
    const qmp = await connectQmp(socket)
    expect(await qmp.execute('query-status')).toMatchObject({ running: false })
    await expect(qmp.execute('device_del', { id: 'none' })).rejects.toThrow(QmpError)
    const shutdown = qmp.events.waitFor('SHUTDOWN')
    await qmp.execute('quit')
    expect((await shutdown).data).toEqual({ guest: false, reason: 'host-qmp-quit' })
    await qmp.closed
    await waitForExit(qemu)
  })

  test('runs a guest of one sector, by emulation', async () => {
    const { binary } = await probeQemu()
    expect(await probeKvm({ binary, accelerator: 'tcg', timeoutMs: 20_000 })).toEqual({
      works: true,
      note: 'TCG works: a guest ran',
    })
  })

  test('does not pass for working where the guest has no time to run', async () => {
    const { binary } = await probeQemu()
    expect(await probeKvm({ binary, accelerator: 'tcg', timeoutMs: 1 })).toEqual({
      works: false,
      note: 'TCG does not work: a guest was started and executed nothing within 1 ms',
    })
  })
})

describe('the probe of KVM', () => {
  test.each([
    ['says it runs, and executes nothing', 'sleep 0.01', /executed nothing/],
    ['exits as asked, without the guest’s word', 'exit 99', /executed nothing/],
    ['repeats the word, without the guest’s exit', 'echo VIRTGATE-PROBE-RAN; exit 0', /executed nothing/],
    [
      'may not',
      'echo "qemu-system-x86_64: failed to initialize kvm: Permission denied" >&2; exit 1',
      /Permission denied \(let the user/,
    ],
    [
      'cannot',
      'echo "Could not access KVM kernel module: No such file or directory" >&2; exit 1',
      /No such file.*load the module/,
    ],
  ])('does not believe a QEMU that %s', async (_what, script, note) => {
    const result = await probeKvm({ binary: program('qemu', script) })
    expect(result).toEqual({ works: false, note: expect.stringMatching(note) as string })
  })

  test('stops when told to', async () => {
    const stop = new AbortController()
    const probing = probeKvm({
      binary: program('qemu', 'exec sleep 60'),
      timeoutMs: 60_000,
      signal: stop.signal,
    })
    stop.abort(new Error('enough'))
    await expect(probing).rejects.toThrow('enough')
  })
})

describe('a QEMU that will not do', () => {
  test('is told from one that is not there', async () => {
    await expect(probeQemu({ binary: '/no/such/qemu' })).rejects.toThrow('/no/such/qemu cannot be read')
  })

  test('says what it said', async () => {
    const binary = program('qemu', 'echo "qemu-system-x86_64: no luck" >&2; exit 1')
    const error: unknown = await probeQemu({ binary }).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(QemuUnusable)
    expect(String(error)).toContain('no luck')
  })

  test('is too old', async () => {
    // A monitor of another version, at the socket that the arguments name.
    const server = join(dir, 'old.mjs')
    writeFileSync(
      server,
      `import { createServer } from 'node:net'
       const path = /path=([^,]*)/.exec(process.argv.join(' '))[1]
       createServer((socket) => {
         socket.write('{"QMP":{"version":{"qemu":{"major":6,"minor":2,"micro":0},"package":""},"capabilities":[]}}\\n')
         socket.on('data', () => socket.write('{"return":{},"id":1}\\n'))
       }).listen(path)`,
    )
    const binary = program('qemu', `exec ${process.execPath} ${server} "$@"`)
    await expect(probeQemu({ binary })).rejects.toThrow(`${binary} is QEMU 6.2: install 7.2 or newer`)
  })
})
