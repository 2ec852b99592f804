import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readSync } from 'node:fs'
import type { AgentCommand } from './fake-agent.ts'

/**
 * Runs programs and reads files on this machine as qemu-ga does in a guest, with the shell that there is. Answers for a
 * `FakeAgent`; `undefined` for other commands.
 */
export class GuestPrograms implements Disposable {
  readonly #children = new Map<
    number,
    { child: ChildProcess; out: Buffer[]; err: Buffer[]; captures: boolean }
  >()
  readonly #files = new Map<number, number>()
  readonly #positions = new Map<number, number>()
  #lastHandle = 1000
  /** Programs that the guest does not have. */
  missing: string[] = []

  answer({ execute, arguments: args = {} }: AgentCommand): unknown {
    try {
      switch (execute) {
        case 'guest-exec':
          return this.#start(String(args.path), args.arg as string[], args['capture-output'] === true)
        case 'guest-exec-status':
          return this.#status(Number(args.pid))
        case 'guest-file-open':
          return this.#open(String(args.path), String(args.mode))
        case 'guest-file-read':
          return this.#read(Number(args.handle), Number(args.count))
        case 'guest-file-seek':
          this.#positions.set(Number(args.handle), Number(args.offset))
          return {}
        case 'guest-file-close':
          closeSync(this.#fd(Number(args.handle)))
          this.#files.delete(Number(args.handle))
          return {}
        default:
          return undefined
      }
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error))
    }
  }

  /** Files that are open. */
  get openFiles(): number {
    return this.#files.size
  }

  [Symbol.dispose](): void {
    for (const { child } of this.#children.values()) child.kill('SIGKILL')
    for (const fd of this.#files.values()) closeSync(fd)
  }

  #start(path: string, args: string[], captures: boolean): unknown {
    if (this.missing.includes(path))
      return new Error(`Failed to execute child process “${path}” (No such file or directory)`)
    const child = spawn(path, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    if (child.pid === undefined) {
      child.on('error', () => {})
      return new Error(`Failed to execute child process “${path}”`)
    }
    const entry = { child, out: [] as Buffer[], err: [] as Buffer[], captures }
    child.stdout.on('data', (bytes: Buffer) => entry.out.push(bytes))
    child.stderr.on('data', (bytes: Buffer) => entry.err.push(bytes))
    this.#children.set(child.pid, entry)
    return { pid: child.pid }
  }

  #status(pid: number): unknown {
    const entry = this.#children.get(pid)
    if (!entry) return new Error(`Invalid parameter 'pid'`)
    const { child, out, err, captures } = entry
    const { exitCode, signalCode } = child
    if (exitCode === null && signalCode === null) return { exited: false }
    if (child.stdout?.readableEnded === false) return { exited: false }
    this.#children.delete(pid)
    return {
      exited: true,
      ...(exitCode !== null ? { exitcode: exitCode } : { signal: 9 }),
      ...(captures && {
        'out-data': Buffer.concat(out).toString('base64'),
        'err-data': Buffer.concat(err).toString('base64'),
      }),
    }
  }

  #open(path: string, mode: string): number {
    const fd = openSync(path, mode)
    const handle = ++this.#lastHandle
    this.#files.set(handle, fd)
    this.#positions.set(handle, 0)
    return handle
  }

  #read(handle: number, count: number): unknown {
    const bytes = Buffer.alloc(count)
    const at = this.#positions.get(handle) ?? 0
    const read = readSync(this.#fd(handle), bytes, 0, count, at)
    this.#positions.set(handle, at + read)
    return { count: read, 'buf-b64': bytes.subarray(0, read).toString('base64'), eof: read < count }
  }

  #fd(handle: number): number {
    const fd = this.#files.get(handle)
    if (fd === undefined) throw new Error(`handle '${handle}' has not been found`)
    return fd
  }
}
