import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { GUEST_KERNEL_ARGS, type GuestImage } from '../../src/guest/guest-image.ts'
import { QEMU } from './guest.ts'

/** What a bare guest is started with. */
export interface BareOptions {
  /** Appended to the kernel arguments. */
  kernelArgs?: string
  /** Further QEMU arguments. */
  args?: string[]
}

/**
 * A QEMU without any of the project around it: what the guest does by itself, and what a start costs at least.
 * Ends when it is disposed of.
 */
export class BareQemu implements AsyncDisposable {
  /** All that came from the serial port so far. */
  serial = ''
  readonly #child: ChildProcess
  readonly #folder: string
  readonly #exited: Promise<unknown>

  private constructor(child: ChildProcess, folder: string) {
    this.#child = child
    this.#folder = folder
    this.#exited = once(child, 'exit')
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.serial += text))
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.serial += text))
  }

  /** Boots the guest on a q35 (or `virt`) machine with 256 MiB, emulated. */
  static async start(guest: GuestImage, { kernelArgs = '', args = [] }: BareOptions = {}): Promise<BareQemu> {
    const folder = await mkdtemp(join(tmpdir(), 'virtgate-bare-'))
    const machine = process.arch === 'arm64' ? ['virt', '-cpu', 'max'] : ['q35']
    const monitor = `unix:${join(folder, 'qmp')},server=on,wait=off`
    const child = spawn(
      QEMU,
      ['-nodefaults', '-no-user-config', '-machine', ...machine, '-accel', 'tcg', '-m', '256']
        .concat(['-display', 'none', '-serial', 'stdio', '-qmp', monitor])
        .concat(['-kernel', guest.kernel, '-initrd', guest.initrd])
        .concat(['-append', `${GUEST_KERNEL_ARGS} ${kernelArgs}`.trim(), ...args]),
      { stdio: ['pipe', 'pipe', 'pipe'] },
    )
    return new BareQemu(child, folder)
  }

  /** Waits until the serial port has said something; throws with all it said when QEMU ends or time is up. */
  async waitFor(wanted: RegExp, timeoutMs = 60_000): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const fail = (why: string) =>
      reject(new Error(`${why} without ${wanted}; the guest said:\n${this.serial}`))
    const check = () => wanted.test(this.serial) && resolve()
    const ended = () => fail('QEMU ended')
    const timer = setTimeout(() => fail(`${timeoutMs} ms went by`), timeoutMs)
    this.#child.stdout?.on('data', check)
    this.#child.on('close', ended)
    try {
      check()
      if (this.#child.exitCode !== null) ended()
      await promise
    } finally {
      clearTimeout(timer)
      this.#child.stdout?.off('data', check)
      this.#child.off('close', ended)
    }
  }

  /** Types into the serial port. */
  type(text: string): void {
    this.#child.stdin?.write(text)
  }

  /** Path of its monitor's socket, for one client at a time. */
  get monitor(): string {
    return join(this.#folder, 'qmp')
  }

  /** Sends one QMP command and hangs up. */
  async command(execute: string): Promise<void> {
    const socket = createConnection(this.monitor)
    socket.end(`{"execute":"qmp_capabilities"}\n{"execute":${JSON.stringify(execute)}}\n`)
    socket.resume()
    await once(socket, 'close')
  }

  /** Exit code, or `undefined` when it still runs after that time. */
  async exitCode(timeoutMs: number): Promise<number | undefined> {
    await Promise.race([this.#exited, delay(timeoutMs, undefined, { ref: false })])
    return this.#child.exitCode ?? undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null) {
      this.#child.kill('SIGKILL')
      await this.#exited
    }
    await rm(this.#folder, { recursive: true, force: true })
  }
}
