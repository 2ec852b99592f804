/**
 * A stand-in for QEMU: speaks QMP on the unix socket named by its first argument, to one client at a time, and runs
 * no guest. `node test/programs/fake-qemu.ts PATH`
 *
 * Beside a few commands of QEMU's it knows some of its own, with which tests make it misbehave:
 * `x-silent` never answers, `x-slow` answers after 100 ms, `x-event` sends the event in its arguments first,
 * `x-bytes` answers a byte at a time, `x-garbage` sends what is no JSON, `x-hang-up` ends the connection.
 */
import { createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const GREETING =
  '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "fake"}, "capabilities": ["oob"]}}'
const [path] = process.argv.slice(2)
if (path === undefined) throw new Error('usage: fake-qemu.ts SOCKET')

let status = 'prelaunch'
let negotiated = false
let client: Socket | undefined
const queue: Socket[] = []

interface Command {
  execute: string
  arguments?: Record<string, unknown>
  id: unknown
}

const commands: Record<string, (socket: Socket, command: Command) => unknown> = {
  qmp_capabilities: () => {
    negotiated = true
    return {}
  },
  'query-status': () => ({ status, running: status === 'running' }),
  // The balloon of a guest without a driver: 2^64 - 1 stands for "unknown".
  'qom-get': () => ({ stats: { 'stat-free-memory': RAW_MAX, 'stat-total-memory': 1024 } }),
  'qom-set': (_socket, { arguments: args }) => args ?? {},
  cont: (socket) => change(socket, 'running', 'RESUME'),
  stop: (socket) => change(socket, 'paused', 'STOP'),
  quit: (socket) => {
    send(socket, { event: 'SHUTDOWN', data: { guest: false, reason: 'host-qmp-quit' } })
    setImmediate(() => process.exit(0))
    return {}
  },
  'x-event': (socket, { arguments: args }) => {
    send(socket, { event: args?.event, data: args?.data })
    return {}
  },
  'x-slow': async () => {
    await sleep(100)
    return 'late'
  },
  'x-silent': () => undefined,
  'x-bytes': async (socket, { id }) => {
    for (const byte of Buffer.from(`${JSON.stringify({ return: 'Grüße 😀', id })}\r\n`)) {
      socket.write(Buffer.from([byte]))
      await sleep(0)
    }
    return undefined
  },
  'x-garbage': (socket) => void socket.write('this is no JSON\n'),
  'x-hang-up': (socket) => void socket.destroy(),
}
const RAW_MAX = '<2^64-1>'

function change(socket: Socket, to: string, event: string): object {
  if (status !== to) send(socket, { event })
  status = to
  return {}
}

function send(socket: Socket, message: { event?: unknown; [member: string]: unknown }): void {
  const timestamp =
    message.event === undefined ? {} : { timestamp: { seconds: 1_700_000_000, microseconds: 5 } }
  const text = JSON.stringify({ ...message, ...timestamp }).replaceAll(`"${RAW_MAX}"`, '18446744073709551615')
  socket.write(`${text}\r\n`)
}

async function answer(socket: Socket, line: string): Promise<void> {
  const command = JSON.parse(line) as Command
  const { execute, id } = command
  const run = negotiated || execute === 'qmp_capabilities' ? commands[execute] : undefined
  if (!run) {
    const desc = `The command ${execute} has not been found`
    send(socket, { error: { class: 'CommandNotFound', desc }, id })
    return
  }
  const result = await run(socket, command)
  if (result === undefined) return
  // What the client wrote goes back letter by letter, so that its numbers can be seen.
  if (execute === 'qom-set')
    socket.write(`{"return": ${JSON.stringify(line)}, "id": ${JSON.stringify(id)}}\n`)
  else send(socket, { return: result, id })
}

function greet(socket: Socket): void {
  client = socket
  negotiated = false
  let text = ''
  socket.write(`${GREETING}\r\n`)
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
    const lines = text.split('\n')
    text = lines.pop() ?? ''
    for (const line of lines) void answer(socket, line)
  })
  socket.on('close', () => {
    client = undefined
    let next = queue.shift()
    while (next?.destroyed) next = queue.shift()
    if (next) greet(next)
  })
}

createServer((socket) => {
  socket.on('error', () => {})
  if (client) queue.push(socket)
  else greet(socket)
}).listen(path)
