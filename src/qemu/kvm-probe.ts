import { spawn } from 'node:child_process'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FieldPath } from '../lib/field-path.ts'
import { CommandLine } from './argv/command-line.ts'
import { buildBootDisk, EXIT_CODE, EXIT_PORT } from './boot-sector.ts'
import { messageIn } from './log.ts'

/** How to try. */
export interface ProbeKvmOptions {
  /** Absolute path of QEMU. */
  binary: string
  /** `tcg` shows that the probe itself works. `kvm` where absent. */
  accelerator?: 'kvm' | 'tcg'
  /** 3 s where absent. */
  timeoutMs?: number
  /** Try as the user that guests run as. Needs root. */
  uid?: number
  gid?: number
  signal?: AbortSignal
}

/** Whether guests can run with that accelerator. */
export interface ProbeResult {
  works: boolean
  /** For people: what happened, and what to do where it does not work. */
  note: string
}

const MARKER = 'VIRTGATE-PROBE-RAN'
const TIMEOUT_MS = 3_000
/** Enough for any BIOS. */
const MEMORY_MIB = 32
/** No spec asks for this guest. */
const NO_FIELD = new FieldPath()

/**
 * Runs a guest of one disk sector and waits for its word: a device file that opens is no proof, and neither is a QEMU
 * that says the guest runs. Source: contract 0.2, rule 12.
 *
 * Throws the system's error where the binary cannot be started, and the reason of `signal` where that aborts.
 */
export async function probeKvm(options: ProbeKvmOptions): Promise<ProbeResult> {
  const { accelerator = 'kvm', timeoutMs = TIMEOUT_MS } = options
  const dir = await mkdtemp(join(tmpdir(), 'virtgate-probe-'))
  try {
    const image = join(dir, 'boot.img')
    await writeFile(image, buildBootDisk(MARKER), { mode: 0o644 })
    await chmod(dir, 0o755)
    const end = await run(options, probeArgv(image, accelerator), dir, timeoutMs)
    return judge(end, accelerator, timeoutMs)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

function probeArgv(image: string, accelerator: 'kvm' | 'tcg'): readonly string[] {
  const line = new CommandLine()
  line.flag('-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-vga', 'none')
  line.keyed('-machine', [['accel', accelerator]], 'q35')
  line.text('-cpu', accelerator === 'kvm' ? 'host' : 'max')
  line.text('-m', `${MEMORY_MIB}M`)
  line.text('-chardev', 'stdio,id=ser0,signal=off')
  line.device(NO_FIELD, { driver: 'isa-serial', chardev: 'ser0' })
  line.device(NO_FIELD, { driver: 'isa-debug-exit', iobase: EXIT_PORT, iosize: 4 })
  const file = { driver: 'file', filename: image, 'read-only': true }
  line.json('-blockdev', { driver: 'raw', 'node-name': 'boot', 'read-only': true, file })
  line.device(NO_FIELD, { driver: 'virtio-blk-pci', drive: 'boot', bootindex: 1 })
  return line.args
}

interface End {
  /** Absent where QEMU had to be killed. */
  code: number | null
  serial: string
  errors: string
}

async function run(
  { binary, uid, gid, signal }: ProbeKvmOptions,
  argv: readonly string[],
  cwd: string,
  timeoutMs: number,
): Promise<End> {
  signal?.throwIfAborted()
  const child = spawn(binary, argv, {
    // A core file that an abort may leave goes away with the directory.
    cwd,
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
  })
  const { promise, resolve, reject } = Promise.withResolvers<number | null>()
  child.once('error', reject).once('close', resolve)
  const texts = { serial: '', errors: '' }
  child.stdout.setEncoding('latin1').on('data', (text: string) => (texts.serial += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (texts.errors += text))
  const kill = (): void => void child.kill('SIGKILL')
  const timer = setTimeout(kill, timeoutMs)
  signal?.addEventListener('abort', kill, { once: true })
  try {
    const code = await promise
    signal?.throwIfAborted()
    return { code, ...texts }
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', kill)
  }
}

function judge({ code, serial, errors }: End, accelerator: string, timeoutMs: number): ProbeResult {
  const name = accelerator.toUpperCase()
  if (code === EXIT_CODE && serial.includes(MARKER))
    return { works: true, note: `${name} works: a guest ran` }
  const said = messageIn(errors)
  const why = said === '' ? `a guest was started and executed nothing within ${timeoutMs} ms` : said
  return { works: false, note: `${name} does not work: ${why}${adviceFor(said)}` }
}

function adviceFor(said: string): string {
  if (/permission denied/i.test(said))
    return ' (let the user of QEMU read and write /dev/kvm, such as by the group kvm)'
  if (/no such file/i.test(said))
    return ' (enable virtualization in the firmware and load the module kvm_intel or kvm_amd)'
  return ''
}
