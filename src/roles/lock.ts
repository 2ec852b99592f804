import { connect, createServer, type Server } from 'node:net'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { installationId } from './data-dir.ts'

/** What the holder of a data directory tells whoever wants it too. */
export interface Holder {
  pid: number
  /** URL it serves the API at. */
  url: string
  /** RFC 3339. */
  since: string
}

/** The data directory is in use. */
export class DataDirInUse extends Error {
  readonly holder: Holder | undefined

  constructor(root: string, holder: Holder | undefined, cause: unknown) {
    const who = holder
      ? `process ${holder.pid}, which serves ${holder.url} since ${holder.since}`
      : 'another process'
    super(
      `the data directory ${root} is in use by ${who}. Stop that one first, or choose another with --data.`,
      {
        cause,
      },
    )
    this.name = 'DataDirInUse'
    this.holder = holder
  }
}

/**
 * Holds a data directory for this process. The lock is a socket in Linux' abstract namespace: the kernel frees it
 * with the process, however that ends, so there is never a stale one. Throws `DataDirInUse`.
 */
export async function holdDataDir(root: string, holder: Holder): Promise<AsyncDisposable> {
  const name = `\0virtgate-${process.getuid?.()}-${installationId(root)}`
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.end(JSON.stringify(holder))
  })
  try {
    await listen(server, name)
  } catch (error) {
    throw new DataDirInUse(root, await askHolder(name), error)
  }
  server.unref()
  return {
    async [Symbol.asyncDispose]() {
      server.close()
      await once(server, 'close')
    },
  }
}

async function listen(server: Server, name: string): Promise<void> {
  server.listen(name)
  await once(server, 'listening')
}

async function askHolder(name: string): Promise<Holder | undefined> {
  const socket = connect(name)
  socket.setTimeout(1000, () => socket.destroy())
  try {
    const holder: Partial<Holder> = JSON.parse(await text(socket))
    return holder.pid && holder.url && holder.since
      ? { pid: holder.pid, url: holder.url, since: holder.since }
      : undefined
  } catch {
    // Whoever holds it does not speak our language, or is just going away: the refusal stands without a name.
    return undefined
  }
}
