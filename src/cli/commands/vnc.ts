import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { delimiter, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Command } from 'commander'
import { dialStream } from '../../kube/stream.ts'
import { connect, subresourcePath, type CommandContext, type ConnectOptions } from '../context.ts'

interface Options extends ConnectOptions {
  proxyOnly?: boolean
  port: string
  preserveSession?: boolean
}

/** Viewers we know how to start, by preference, with their arguments for a local port. */
const VIEWERS: [program: string, args: (port: number) => string[]][] = [
  ['remote-viewer', (port) => [`vnc://127.0.0.1:${port}`]],
  ['tigervnc', (port) => [`127.0.0.1::${port}`]],
  ['xtigervncviewer', (port) => [`127.0.0.1::${port}`]],
  ['vncviewer', (port) => [`127.0.0.1::${port}`]],
]

/** Adds `vnc`: the guest's display in a viewer, or on a local port for any viewer. */
export function addVnc(program: Command, context: CommandContext): void {
  program
    .command('vnc <name>')
    .description("open a guest's display in a VNC viewer")
    .option('--proxy-only', 'start no viewer: print the local port and wait for one')
    .option('--port <port>', 'local port; 0 takes a free one', '0')
    .option('--preserve-session', 'fail rather than take over from somebody who is connected')
    .action(async (name: string, _options: unknown, self: Command) => {
      const options = self.optsWithGlobals<Options>()
      const { client, namespace } = await connect(options, context)
      await using _closed = client
      const query = `?preserveSession=${options.preserveSession === true}`
      const path = subresourcePath('virtualmachineinstances', namespace, name, 'vnc') + query
      // Dialled before anything else is started, so that a refusal is the first thing to be seen.
      const { duplex } = await dialStream(client.config, path, context.signal)
      const server = createServer({ pauseOnConnect: true })
      server.listen(Number(options.port), '127.0.0.1')
      await once(server, 'listening', { signal: context.signal })
      const port = portOf(server)
      if (options.proxyOnly) context.stdout.write(`${JSON.stringify({ port })}\n`)
      else startViewer(port, context)
      const viewer = await firstConnection(server, context.signal)
      await pipeline(viewer, duplex, viewer, { signal: context.signal })
    })
}

async function firstConnection(server: Server, signal: AbortSignal): Promise<Socket> {
  try {
    const [socket]: Socket[] = await once(server, 'connection', { signal })
    if (!socket) throw new Error('the viewer did not connect')
    return socket
  } finally {
    server.close()
  }
}

function portOf(server: Server): number {
  // A TCP server that is listening has an address of this form.
  return (server.address() as AddressInfo).port
}

function startViewer(port: number, { env, stderr }: CommandContext): void {
  const folders = (env.PATH ?? '').split(delimiter)
  const found = VIEWERS.find(([program]) => folders.some((folder) => existsSync(join(folder, program))))
  if (!found) {
    stderr.write(`No VNC viewer found (${VIEWERS.map(([program]) => program).join(', ')}).\n`)
    stderr.write(`Point one at 127.0.0.1:${port}; waiting …\n`)
    return
  }
  const [program, args] = found
  spawn(program, args(port), { stdio: 'ignore', detached: true }).unref()
}
