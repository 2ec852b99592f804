/**
 * A stand-in for a QEMU on a host with AMD SEV: speaks the part of QMP that is about it, and runs nothing. The guest
 * waits in `prelaunch`; its measurement is made of its session, and its secret is taken once, while it waits.
 */
import { readFileSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'

const args = process.argv.slice(2)
const sockets = args.flatMap((arg) => /^socket,.*path=([^,]*)/.exec(arg)?.[1] ?? [])
const sev = args.map((arg) => (arg.includes('"sev-guest"') ? JSON.parse(arg) : undefined)).find(Boolean)
process.umask(0o077)

let status = 'prelaunch'
let secret: unknown

function fail(desc: string): never {
  throw new Error(desc)
}

const commands: Record<string, (given: Record<string, unknown>) => unknown> = {
  qmp_capabilities: () => ({}),
  'query-status': () => ({ status }),
  'query-chardev': () => [],
  cont: () => {
    status = 'running'
    return {}
  },
  quit: () => {
    setTimeout(() => process.exit(0), 5)
    return {}
  },
  'query-sev-capabilities': () => ({
    pdh: 'cGRo',
    'cert-chain': 'Y2VydHM=',
    cbitpos: 47,
    'reduced-phys-bits': 1,
  }),
  'query-sev': () => ({
    enabled: true,
    'api-major': 1,
    'api-minor': 55,
    'build-id': 24,
    policy: sev?.policy ?? fail('SEV is not enabled'),
    state: 'launch-secret',
    handle: 1,
  }),
  'query-sev-launch-measure': () => {
    if (!sev) fail('SEV is not enabled')
    return { data: Buffer.from(`measured ${readFileSync(sev['session-file'], 'utf8')}`).toString('base64') }
  },
  'sev-inject-launch-secret': (given) => {
    if (status !== 'prelaunch') fail('the guest runs')
    if (secret) fail('SEV: the secret was injected already')
    secret = given
    return {}
  },
}

function serveMonitor(socket: Socket): void {
  socket.on('error', () => {})
  const version = { qemu: { major: 7, minor: 2, micro: 0 }, package: 'fake' }
  socket.write(`${JSON.stringify({ QMP: { version, capabilities: [] } })}\r\n`)
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    const lines = (text + chunk).split('\n')
    text = lines.pop() ?? ''
    for (const line of lines.filter((one) => one.trim() !== '')) answer(socket, JSON.parse(line))
  })
}

function answer(socket: Socket, { execute = '', arguments: given = {}, id = 0 }): void {
  try {
    const command = commands[execute] ?? fail(`no command ${execute}`)
    socket.write(`${JSON.stringify({ return: command(given), id })}\r\n`)
  } catch (error) {
    socket.write(
      `${JSON.stringify({ error: { class: 'GenericError', desc: (error as Error).message }, id })}\r\n`,
    )
  }
}

for (const path of sockets) {
  rmSync(path, { force: true })
  createServer((socket) =>
    /mon|qmp/.test(path) ? serveMonitor(socket) : socket.on('error', () => {}),
  ).listen(path)
}
process.on('SIGTERM', () => process.exit(0))
