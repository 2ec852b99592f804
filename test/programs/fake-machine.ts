/**
 * A stand-in for QEMU with a guest, started with QEMU's own arguments; it runs nothing. How it behaves is said by
 * the name of the guest, a list of words with dashes between them:
 *
 * `dies` ends before it listens, `panics`, `fills` (its disk is full) and `crashes` do so when the guest is to run,
 * `deaf` ignores the power button, `stubborn` ignores `quit` and SIGTERM, `agent` has a guest agent which shuts it down,
 * `drops` ends its first monitor connection once the guest runs, `chatty` prints at its serial port without end,
 * `volume` does what lines at its serial port and its display say (`send N`: prints so many bytes of a pattern, `take N`:
 * reads so many and prints their SHA-256; `pour N` and `drink N` do the same as fast as they can, without pattern and sum),
 * `blank` has no picture of its display. Words about disks stand in `fake-disks.ts`.
 */
import { createHash, type Hash } from 'node:crypto'
import { openSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { FakeFault, fakeDisks } from './fake-disks.ts'
import { pattern } from '../helpers/pattern.ts'
import { encodePng } from '../helpers/png.ts'

const args = process.argv.slice(2)
const words = new Set((/guest=[^_]*_([^,]*)/.exec(valueOf('-name'))?.[1] ?? '').split('-'))
if (words.has('dies')) {
  process.stderr.write(`qemu-system-x86_64: /some/where/disk.img: it does not work\n`)
  process.exit(1)
}
process.umask(0o077)

let status = 'prelaunch'
let isFull = words.has('fills')
let dropped = !words.has('drops')
const monitors = new Set<Socket>()

function valueOf(option: string): string {
  return args[args.indexOf(option) + 1] ?? ''
}

function chardevOf(id: string): string {
  return args.find((arg) => arg.startsWith('socket,') && arg.split(',').includes(`id=${id}`)) ?? ''
}

function socketOf(id: string): string | undefined {
  return /path=([^,]*)/.exec(chardevOf(id))?.[1]
}

const chardevs = args.flatMap((arg) => /^socket,id=([^,]*)/.exec(arg)?.[1] ?? [])
const serialLogFile = /logfile=([^,]*)/.exec(chardevOf('ser0'))?.[1]
const serialLog = serialLogFile === undefined ? undefined : openSync(serialLogFile, 'a', 0o600)
let serial: Socket | undefined

function listen(path: string | undefined, serve: (socket: Socket) => void): void {
  if (path === undefined) return
  rmSync(path, { force: true })
  createServer((socket) => {
    socket.on('error', () => {})
    serve(socket)
  }).listen(path)
}

function tell(event: string, data: object = {}): void {
  const timestamp = { seconds: 1_700_000_000, microseconds: 0 }
  for (const monitor of monitors) monitor.write(`${JSON.stringify({ event, data, timestamp })}\r\n`)
}

function run(): object {
  if (status === 'running') return {}
  status = 'running'
  tell('RESUME')
  if (words.has('agent')) tell('VSERPORT_CHANGE', { open: true, id: 'channel0' })
  if (words.has('panics')) {
    status = 'guest-panicked'
    tell('GUEST_PANICKED', { action: 'pause' })
  }
  if (words.has('crashes')) setTimeout(() => process.exit(134), 50)
  if (isFull) {
    isFull = false
    status = 'io-error'
    tell('BLOCK_IO_ERROR', { nospace: true, reason: 'No space left on device', operation: 'write' })
    tell('STOP')
  }
  if (!dropped) {
    dropped = true
    setTimeout(() => monitors.forEach((monitor) => monitor.destroy()), 50)
  }
  return {}
}

function shutDown(): void {
  tell('SHUTDOWN', { guest: true, reason: 'guest-shutdown' })
  status = 'shutdown'
  tell('STOP')
}

const commands: Record<string, (args: Record<string, unknown>) => unknown> = {
  ...fakeDisks(args, words, tell),
  qmp_capabilities: () => ({}),
  'query-status': () => ({ status }),
  'query-chardev': () =>
    chardevs.map((label) => ({
      label,
      'frontend-open': label !== 'qga0' || (words.has('agent') && status === 'running'),
    })),
  screendump: ({ filename }) => {
    const image = words.has('blank') ? Buffer.from('no picture') : encodePng(64, 32, (x, y) => x ^ y)
    print(`screendump ${(statSync(String(filename)).mode & 0o777).toString(8)}\n`)
    writeFileSync(String(filename), image)
    return {}
  },
  'input-send-event': ({ events }) => {
    print(`input ${JSON.stringify(events)}\n`)
    return {}
  },
  cont: run,
  stop: () => {
    status = 'paused'
    tell('STOP')
    return {}
  },
  system_reset: () => {
    if (status === 'shutdown') status = 'prelaunch'
    tell('RESET', { guest: false, reason: 'host-qmp-system-reset' })
    return {}
  },
  system_powerdown: () => {
    tell('POWERDOWN')
    if (!words.has('deaf') && status === 'running') setTimeout(shutDown, 20)
    return {}
  },
  set_link: () => ({}),
  quit: () => {
    if (!words.has('stubborn')) setTimeout(() => process.exit(0), 5)
    return {}
  },
}

function serveMonitor(socket: Socket): void {
  monitors.add(socket)
  socket.on('close', () => monitors.delete(socket))
  const version = { qemu: { major: 7, minor: 2, micro: 0 }, package: 'fake' }
  socket.write(`${JSON.stringify({ QMP: { version, capabilities: [] } })}\r\n`)
  onLines(socket, (line) => {
    const { execute, arguments: given = {}, id } = JSON.parse(line)
    const command = commands[execute]
    const answer = command
      ? answerOf(() => command(given))
      : { error: { class: 'CommandNotFound', desc: execute } }
    socket.write(`${JSON.stringify({ ...answer, id })}\r\n`)
  })
}

function answerOf(run: () => unknown): object {
  try {
    return { return: run() ?? {} }
  } catch (error) {
    if (!(error instanceof FakeFault)) throw error
    return { error: { class: error.class, desc: error.message } }
  }
}

/** To whoever is connected, then to the log; answers whether more is wanted. */
function print(bytes: string | Buffer): boolean {
  const isFree = serial === undefined || serial.destroyed || serial.write(bytes)
  if (serialLog !== undefined) writeSync(serialLog, typeof bytes === 'string' ? Buffer.from(bytes) : bytes)
  return isFree
}

function serveSerial(socket: Socket): void {
  serial = socket
  print('login: ')
  if (words.has('volume')) return serveVolume(socket, print)
  socket.on('data', (bytes: Buffer) => print(bytes))
  if (!words.has('chatty')) return
  const chunk = Buffer.alloc(64 * 1024, 'x')
  const chat = (): void => {
    while (!socket.destroyed && socket.write(chunk));
    setImmediate(() => socket.destroyed || chat())
  }
  chat()
}

type Write = (bytes: string | Buffer) => boolean

/** Does what lines say; `write` is the way to who has said them. */
function serveVolume(socket: Socket, write: Write): void {
  let wanted = 0
  let hash: Hash | undefined
  let line = ''
  socket.on('data', (bytes: Buffer) => {
    let rest = bytes
    while (rest.length > 0) {
      if (wanted > 0) {
        const taken = rest.subarray(0, wanted)
        hash?.update(taken)
        wanted -= taken.length
        rest = rest.subarray(taken.length)
        if (wanted === 0) write(`taken ${hash?.digest('hex') ?? ''}\n`)
        continue
      }
      const end = rest.indexOf('\n')
      line += rest.subarray(0, end < 0 ? rest.length : end).toString('latin1')
      rest = end < 0 ? Buffer.alloc(0) : rest.subarray(end + 1)
      if (end < 0) break
      const [verb, count] = line.split(' ')
      line = ''
      if (verb === 'send') send(socket, write, pattern(Number(count)))
      if (verb === 'pour') pour(socket, write, Number(count))
      if (verb === 'take' || verb === 'drink') {
        wanted = Number(count)
        hash = verb === 'take' ? createHash('sha256') : undefined
      }
    }
  })
}

const BLOCK_BYTES = 64 * 1024

function send(socket: Socket, write: Write, bytes: Buffer): void {
  const blockAt = (at: number): Buffer => bytes.subarray(at, at + BLOCK_BYTES)
  writeBlocks(socket, write, bytes.length, blockAt)
}

/** As `send`, but the same bytes over and over, so that making them takes no time. */
function pour(socket: Socket, write: Write, count: number): void {
  const block = pattern(BLOCK_BYTES)
  writeBlocks(socket, write, count, (at) => block.subarray(0, count - at))
}

function writeBlocks(socket: Socket, write: Write, count: number, blockAt: (at: number) => Buffer): void {
  let at = 0
  const more = (): void => {
    while (at < count && !socket.destroyed) {
      const isFree = write(blockAt(at))
      at += BLOCK_BYTES
      if (!isFree) return void socket.once('drain', more)
    }
  }
  more()
}

function serveDisplay(socket: Socket): void {
  socket.write('RFB 003.008\n')
  if (words.has('volume')) serveVolume(socket, (bytes) => socket.write(bytes))
}

function serveAgent(socket: Socket): void {
  onLines(socket, (line) => {
    const { execute, arguments: given } = JSON.parse(line.replace(/^[^{]*/, ''))
    if (execute === 'guest-sync-delimited') {
      socket.write(
        Buffer.concat([Buffer.from([0xff]), Buffer.from(`${JSON.stringify({ return: given.id })}\n`)]),
      )
    } else if (execute === 'guest-shutdown') {
      if (given.mode === 'reboot') tell('RESET', { guest: true, reason: 'guest-reset' })
      else shutDown()
    } else socket.write('{"return": {}}\n')
  })
}

function onLines(socket: Socket, take: (line: string) => void): void {
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk
    const lines = text.split('\n')
    text = lines.pop() ?? ''
    lines.filter((line) => line.trim() !== '').forEach(take)
  })
}

process.on('SIGTERM', () => words.has('stubborn') || process.exit(0))
listen(socketOf('ser0'), serveSerial)
listen(socketOf('qga0'), serveAgent)
for (const id of chardevs.filter((name) => /^ur\d$/.test(name))) {
  listen(socketOf(id), (socket) => socket.on('data', (bytes: Buffer) => socket.write(bytes)))
}
listen(/unix:([^,]*)/.exec(valueOf('-vnc'))?.[1], serveDisplay)
listen(socketOf('mon1'), serveMonitor)
listen(socketOf('mon0'), serveMonitor)
