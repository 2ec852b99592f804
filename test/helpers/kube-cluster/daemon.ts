import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'

/** A program that runs until it is told to end. Closing it kills it. */
export interface Daemon extends AsyncDisposable {
  pid: number
  hasEnded(): boolean
  kill(signal: NodeJS.Signals): void
  /** Ends it and waits for its end. */
  stop(signal?: NodeJS.Signals): Promise<void>
  /** The end of what it has printed. */
  tail(): string
}

/** Starts a program, with its output in a file. It is killed when this process ends, however that happens. */
export function startDaemon(program: string, args: readonly string[], logFile: string): Daemon {
  const log = openSync(logFile, 'a')
  const child = spawn('setpriv', ['--pdeathsig', 'SIGKILL', program, ...args], {
    stdio: ['ignore', log, log],
    // A proxy has no business between processes of one machine.
    env: { PATH: process.env.PATH, HOME: '/nonexistent' },
  })
  closeSync(log)
  const exited = once(child, 'exit')
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null
  const kill = (signal: NodeJS.Signals) => void (hasEnded() || child.kill(signal))
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    kill(signal)
    await exited
  }
  return {
    // setpriv becomes the program, so this is its pid.
    pid: child.pid ?? 0,
    hasEnded,
    kill,
    stop,
    tail: () => readFileSync(logFile, 'utf8').slice(-4000),
    [Symbol.asyncDispose]: () => stop('SIGKILL'),
  }
}
