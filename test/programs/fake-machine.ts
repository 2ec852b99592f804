/**
 * A stand-in for QEMU with a guest, started with QEMU's own arguments; it runs nothing. How it behaves is said by
 * the name of the guest, a list of words with dashes between them:
 *
 * `dies` ends before it listens, `panics`, `fills` (its disk is full) and `crashes` do so when the guest is to run,
 * `deaf` ignores the power button, `stubborn` ignores `quit` and SIGTERM, `agent` has a guest agent which shuts it down,
 * `drops` ends its first monitor connection once the guest runs, `chatty` prints at its serial port without end.
 */
import { rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'

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

function socketOf(id: string): string | undefined {
  const chardev = args.find((arg) => arg.startsWith('socket,') && arg.split(',').includes(`id=${id}`))
  return /path=([^,]*)/.exec(chardev ?? '')?.[1]
}

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
  qmp_capabilities: () => ({}),
  'query-status': () => ({ status }),
  'query-chardev': () => [{ label: 'qga0', 'frontend-open': words.has('agent') && status === 'running' }],
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
      ? { return: command(given) }
      : { error: { class: 'CommandNotFound', desc: execute } }
    socket.write(`${JSON.stringify({ ...answer, id })}\r\n`)
  })
}

function serveSerial(socket: Socket): void {
  socket.write('login: ')
  socket.on('data', (bytes: Buffer) => socket.write(bytes))
  if (!words.has('chatty')) return
  const chunk = Buffer.alloc(64 * 1024, 'x')
  const print = (): void => {
    while (!socket.destroyed && socket.write(chunk));
    setImmediate(() => socket.destroyed || print())
  }
  print()
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
listen(/unix:([^,]*)/.exec(valueOf('-vnc'))?.[1], (socket) => void socket.write('RFB 003.008\n'))
listen(socketOf('mon1'), serveMonitor)
listen(socketOf('mon0'), serveMonitor)
