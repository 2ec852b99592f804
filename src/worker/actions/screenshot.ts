import { constants, open, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { badRequest, internalError } from '../../lib/errors.ts'
import { wait, type Clock } from '../../lib/clock.ts'
import { QmpError } from '../../qemu/qmp/client.ts'
import type { ScreenshotOptions } from '../../rpc/actions.ts'
import type { Guest } from '../guest/guest.ts'
import type { Machine } from '../guest/machine.ts'

/** What a picture may take; one of 8K is far below. */
const LIMIT_BYTES = 32 * 1024 * 1024
const READ_BYTES = 256 * 1024
/** How long a guest gets to light its screen up. */
const WAKE_MS = 200
/** Source: PNG specification, 5.2 and 11.2.5 (chunk `IEND`, which is always the same). */
const PNG_BEGIN = Buffer.from('89504e470d0a1a0a', 'hex')
const PNG_END = Buffer.from('0000000049454e44ae426082', 'hex')
/** The graphics card. Source: `src/qemu/argv/display.ts`. */
const CARD = { device: 'video0', head: 0 }
/** Of QEMU's absolute pointers. Source: `InputMoveEvent` in the QMP reference. */
const MIDDLE = 0x3fff

/** What a picture is taken with. */
export interface ScreenshotParts {
  clock: Clock
  signal?: AbortSignal | undefined
}

/**
 * What the guest's display shows, as PNG. Throws 400 where it has none, 409 where it does not run, 500 where QEMU gives no
 * picture, 504 where it does not answer, and the reason of `signal`.
 */
export async function takeScreenshot(
  guest: Guest,
  { moveCursor }: ScreenshotOptions,
  { clock, signal = new AbortController().signal }: ScreenshotParts,
): Promise<Buffer> {
  if (!guest.machine().display) {
    throw badRequest('the guest has no display: autoattachGraphicsDevice is false')
  }
  return guest.operate(async ({ machine }) => {
    signal.throwIfAborted()
    if (moveCursor) {
      await nudge(machine)
      await wait(clock, WAKE_MS, signal)
      signal.throwIfAborted()
    }
    return dump(machine)
  })
}

/** There and back by one step. A guest without a mouse that counts steps has its tablet touched in the middle. */
async function nudge(machine: Machine): Promise<void> {
  const move = (type: 'rel' | 'abs', value: number): Promise<unknown> =>
    machine.command('input-send-event', { events: [{ type, data: { axis: 'x', value } }] })
  try {
    await move('rel', 1)
    await move('rel', -1)
  } catch (error) {
    if (!(error instanceof QmpError)) throw error
    await move('abs', MIDDLE)
  }
}

/**
 * QEMU writes a file that we have made and keep open, in the one directory where it may: whatever it puts in its place
 * meanwhile is not read (security C1, C8).
 */
async function dump(machine: Machine): Promise<Buffer> {
  const { runDir, ownerUid } = machine.place
  const filename = join(runDir, 'screen.png')
  // What a crash has left. Never a folder with what is in it: QEMU could lead us elsewhere meanwhile.
  await rm(filename, { force: true })
  const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR } = constants
  await using file = await open(filename, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
  try {
    if (ownerUid !== process.getuid?.()) await file.chown(ownerUid, (await file.stat()).gid)
    await machine.command('screendump', { filename, format: 'png', ...CARD })
    return await readPng(file)
  } catch (error) {
    if (error instanceof QmpError)
      throw internalError(`QEMU took no picture of the display: ${error.desc}`, error)
    throw error
  } finally {
    await rm(filename, { force: true })
  }
}

async function readPng(file: FileHandle): Promise<Buffer> {
  const parts: Buffer[] = []
  for (let total = 0; total <= LIMIT_BYTES;) {
    const part = Buffer.allocUnsafe(READ_BYTES)
    const { bytesRead } = await file.read(part, 0, READ_BYTES, total)
    if (bytesRead === 0) return checkPng(Buffer.concat(parts))
    parts.push(part.subarray(0, bytesRead))
    total += bytesRead
  }
  throw internalError(`QEMU's picture of the display has more than ${LIMIT_BYTES} bytes`)
}

function checkPng(image: Buffer): Buffer {
  const isWhole =
    image.subarray(0, PNG_BEGIN.length).equals(PNG_BEGIN) && image.subarray(-PNG_END.length).equals(PNG_END)
  if (!isWhole) throw internalError("QEMU's picture of the display is no PNG")
  return image
}
