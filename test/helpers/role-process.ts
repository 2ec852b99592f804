import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

const MAIN = new URL('../../src/virtgate.mjs', import.meta.url).pathname

/** A role of virtgate that runs as a process of its own. */
export interface RoleProcess extends AsyncDisposable {
  pid: number
  /** The line it has said it is ready with. */
  ready: string
  /** All it has printed so far. */
  output(): string
  /** Ends it and answers its exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

/** Options of a command by their names without dashes; `true` for one that takes no value. */
export type Flags = Record<string, string | true>

/** Runs `virtgate <role>` and waits for the first line on its standard output. */
export async function startRole(role: string, flags: Flags): Promise<RoleProcess> {
  const child = spawn(process.execPath, argsOf(role, flags), { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  createInterface({ input: child.stderr }).on('line', (line) => (output += `${line}\n`))
  const exited = once(child, 'exit')
  const first = Promise.withResolvers<string>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    output += `${line}\n`
    first.resolve(line)
  })
  const failed = exited.then(([code]) => {
    throw new Error(`virtgate ${role} ended with ${code}:\n${output}`)
  })
  const ready = await Promise.race([first.promise, failed])
  failed.catch(() => {})
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    await exited
    return child.exitCode
  }
  return {
    // It has printed a line, so it was started.
    pid: child.pid ?? 0,
    ready,
    output: () => output,
    stop,
    [Symbol.asyncDispose]: async () => void (await stop()),
  }
}

/** Runs `virtgate <role>` to its end. */
export async function runRole(role: string, flags: Flags): Promise<{ code: number | null; stderr: string }> {
  const child = spawn(process.execPath, argsOf(role, flags), { stdio: ['ignore', 'ignore', 'pipe'] })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const [code] = await once(child, 'close')
  return { code: typeof code === 'number' ? code : null, stderr }
}

function argsOf(role: string, flags: Flags): string[] {
  const options = Object.entries(flags).map(([name, value]) =>
    value === true ? `--${name}` : `--${name}=${value}`,
  )
  return [MAIN, role, ...options]
}
