import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { systemClock } from '../../../src/lib/clock.ts'
import { dialTcp } from '../../../src/worker/network/tcp.ts'

/** QEMU listens for the guest, and shows no connection in its table: they come and go between two looks at it. */
async function forwarding(onConnection: (socket: Socket) => void) {
  const server = createServer({ allowHalfOpen: true }, onConnection)
  const machine = {
    command: async <T>(_name: string, args?: object) => {
      const [, address, port] =
        /^hostfwd_add \S+ tcp:([^:]+):(\d+)-/.exec(String(Object.values(args ?? {})[0])) ?? []
      if (address) await once(server.listen(Number(port), address), 'listening')
      // The commands here answer with texts.
      return '' as T
    },
  }
  const dial = () =>
    dialTcp(
      { network: 'hn-default', port: 80 },
      { machine, clock: systemClock, signal: new AbortController().signal },
    )
  return { dial, [Symbol.dispose]: () => void server.close() }
}

test('a guest that refuses between two looks at the table is not waited for', async () => {
  using guest = await forwarding((socket) => socket.end())
  await expect(guest.dial()).rejects.toMatchObject({ code: 503 })
})

test('what a guest says between two looks at the table is not lost', async () => {
  using guest = await forwarding((socket) => socket.end('220 ready\r\n'))
  const stream = await guest.dial()
  expect(await text(stream)).toBe('220 ready\r\n')
  stream.destroy()
})
