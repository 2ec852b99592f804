import { once } from 'node:events'
import { link, mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { dial, UntrustedSocket, withPinned } from '../../../src/worker/files/pin.ts'

const ownUid = process.getuid?.() ?? 0

let root: string
let servers: Server[]
/** Bytes that each server was sent. */
let received: Map<string, number>

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'virtgate-pin-'))
  await mkdir(join(root, 'pin'))
  servers = []
  received = new Map()
})
afterEach(async () => {
  for (const server of servers) server.close()
  await rm(root, { recursive: true })
})

async function listen(name: string): Promise<string> {
  const path = join(root, name)
  const server = createServer((socket) => {
    socket
      .on('data', (bytes) => received.set(name, (received.get(name) ?? 0) + bytes.length))
      .on('error', () => {})
  }).listen(path)
  servers.push(server)
  await once(server, 'listening')
  return path
}

const place = (socket: string, ownerUid = ownUid) => ({ socket, pinDir: join(root, 'pin'), ownerUid })
const patient = { alive: () => true, signal: AbortSignal.timeout(10_000) }
const talk = async (path: string): Promise<void> => {
  const socket = await dial(path)
  await new Promise((resolve) => socket.end('hello', () => resolve(undefined)))
}

test('leads to the socket, and leaves nothing behind', async () => {
  const socket = await listen('real')
  await withPinned(place(socket), patient, talk)
  await expect.poll(() => received.get('real')).toBe(5)
  expect(await readdir(join(root, 'pin'))).toEqual([])
})

test('a link in the place of the socket is not followed', async () => {
  const decoy = await listen('decoy')
  const socket = join(root, 'socket')
  await symlink(decoy, socket)
  await expect(withPinned(place(socket), patient, talk)).rejects.toThrow('it is not a socket')
  await rm(socket)
  await writeFile(socket, '')
  await expect(withPinned(place(socket), patient, talk)).rejects.toThrow(UntrustedSocket)
  expect(received.size).toBe(0)
  expect(await readdir(join(root, 'pin'))).toEqual([])
})

test('a socket of somebody else is not spoken to, under whatever name', async () => {
  const decoy = await listen('decoy')
  const socket = join(root, 'socket')
  await link(decoy, socket)
  await expect(withPinned(place(socket, ownUid + 1), patient, talk)).rejects.toThrow(
    `it belongs to user ${ownUid}`,
  )
  expect(received.size).toBe(0)
})

test('a swap after the check comes too late', async () => {
  const [socket, decoy] = [await listen('real'), await listen('decoy')]
  await withPinned(place(socket), patient, async (path) => {
    await rename(socket, `${socket}.away`)
    await symlink(decoy, socket)
    await talk(path)
  })
  await expect.poll(() => received.get('real')).toBe(5)
  expect(received.get('decoy')).toBeUndefined()
})

test('waits for the socket, as long as somebody can still make it', async () => {
  const path = join(root, 'late')
  const using = withPinned(place(path), patient, talk)
  setTimeout(() => void listen('late'), 30)
  await using
  await expect.poll(() => received.get('late')).toBe(5)

  const gone = withPinned(place(join(root, 'never')), { ...patient, alive: () => false }, talk)
  await expect(gone).rejects.toThrow('QEMU ended before it listened there')
  const stop = new AbortController()
  const waiting = withPinned(place(join(root, 'never')), { ...patient, signal: stop.signal }, talk)
  stop.abort(new Error('enough'))
  await expect(waiting).rejects.toThrow('enough')
})
