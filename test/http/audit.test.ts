import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { request } from 'node:http'
import { expect, onTestFinished, test } from 'vitest'
import type { KubeObject } from '../../src/kinds/meta.ts'
import type { ServerOptions } from '../../src/http/server.ts'
import { conflict } from '../../src/lib/errors.ts'
import { VMIS } from '../../src/kinds/table.ts'
import { getVmi, VMI } from '../../src/subresources/lookup.ts'
import { guestexec } from '../../src/subresources/guestexec.ts'
import { pause } from '../../src/subresources/pause.ts'
import type { Action, Call, Query } from '../../src/subresources/subresource.ts'
import { ALICE, apiOf, memoryLog, vmiOf } from '../helpers/api.ts'
import { refusalOf, serveStreams, StreamGuest, streamOf, until, VMI_PATH } from '../helpers/stream-server.ts'

interface SeenEvent {
  about: string
  type: string
  reason: string
  message: string
}

/** Keeps audit lines and Events. */
function records(): { options: Partial<ServerOptions>; lines: () => unknown[]; events: SeenEvent[] } {
  const audit = memoryLog()
  const events: SeenEvent[] = []
  const { parts } = partsOf()
  return {
    options: {
      audit,
      parts: {
        ...parts,
        events: {
          record: (about: KubeObject, type, reason, message) =>
            void events.push({ about: about.metadata.uid, type, reason, message }),
        },
      },
    },
    lines: () => audit.lines.map(({ fields, text }) => ({ text, ...fields })),
    events,
  }
}

/** The parts that `apiOf` would make, to be changed. */
function partsOf(): Pick<ServerOptions, 'parts'> {
  const store: ServerOptions['parts']['store'] = {
    get: async (kind) => {
      // The tests of this file ask for nothing else.
      if (kind.plural === VMIS.plural) return vmiOf() as never
      return undefined
    },
    list: async () => ({ items: [], resourceVersion: '1' }),
    create: () => Promise.reject(new Error('nothing is created here')),
    patch: () => Promise.reject(new Error('nothing is patched here')),
  }
  return { parts: { store } as ServerOptions['parts'] }
}

function act(run: (call: Call) => Promise<void>): Action {
  return { ...pause, run }
}

const PAUSE = {
  method: 'PUT',
  url: `${VMI_PATH}/pause`,
  headers: { ...ALICE, 'user-agent': 'virtctl/v1.9.0' },
} as const

function api(subresource: Action | Query, options: Partial<ServerOptions>) {
  const made = apiOf({}, { subresources: [subresource], ...options })
  onTestFinished(() => made.app.close())
  return made.app
}

const ALICE_PAUSES = {
  user: 'alice',
  groups: [],
  source: '127.0.0.1',
  userAgent: 'virtctl/v1.9.0',
  subresource: 'virtualmachineinstances/pause',
  verb: 'update',
  namespace: 'ns1',
  name: 'vm1',
  durationMs: expect.any(Number),
}

test('who did what to which VM is written down, and left on the object', async () => {
  const { options, lines, events } = records()
  await api(
    act(async (call) => void (await getVmi(call))),
    options,
  ).inject(PAUSE)
  expect(lines()).toEqual([{ ...ALICE_PAUSES, text: 'action done', vmiUid: 'u1', code: 200 }])
  expect(events).toEqual([
    { about: 'u1', type: 'Normal', reason: 'PauseRequested', message: 'pause was requested: user "alice"' },
  ])
})

test.each([
  ['is not known', { headers: {} }, 401, 'Unauthorized', 'action refused'],
  ['is refused', {}, 409, 'Conflict', 'action refused'],
  ['sends too much', { payload: Buffer.alloc(300 * 1024) }, 413, 'RequestEntityTooLarge', 'action refused'],
])('whoever %s is written down, too', async (_what, change, code, reason, text) => {
  const { options, lines, events } = records()
  const refuse = async (call: Call) => {
    await getVmi(call)
    throw conflict(VMI, 'vm1', 'no')
  }
  await api(act(refuse), options).inject({ ...PAUSE, ...change })
  expect(lines()).toMatchObject([{ text, code, reason, subresource: 'virtualmachineinstances/pause' }])
  expect(events).toEqual([])
})

test('a denial is written down, of what only reads as well', async () => {
  const denied = { authorizer: { review: async () => ({ allowed: false, reason: '' }) } }
  const query: Query = {
    type: 'query',
    resource: VMIS,
    name: 'guestosinfo',
    method: 'GET',
    verb: 'get',
    kind: 'Info',
    description: '',
    run: async () => ({}),
  }
  const { options, lines } = records()
  await api(query, options).inject({ url: `${VMI_PATH}/guestosinfo`, headers: ALICE })
  expect(lines()).toEqual([])
  await api(query, { ...options, ...denied }).inject({ url: `${VMI_PATH}/guestosinfo`, headers: ALICE })
  expect(lines()).toMatchObject([{ code: 403, reason: 'Forbidden', user: 'alice' }])
})

test('a failure is written down without what it was about', async () => {
  const { options, lines } = records()
  const fail = () => Promise.reject(new Error('secret'))
  await api(act(fail), options).inject(PAUSE)
  expect(lines()).toMatchObject([{ text: 'action failed', code: 500, reason: 'InternalError' }])
  expect(JSON.stringify(lines())).not.toContain('secret')
})

test.each([
  ['in the URL', { url: `${VMI_PATH}/pause?dryRun=All` }],
  ['in the body', { payload: '{"dryRun":["All"]}' }],
])('a dry run %s is told from the real thing, and leaves no Event', async (_where, change) => {
  const { options, lines, events } = records()
  await api(
    act(async (call) => void (await getVmi(call))),
    options,
  ).inject({ ...PAUSE, ...change })
  expect(lines()).toMatchObject([{ text: 'action done', dryRun: true }])
  expect(events).toEqual([])
})

test('names that would forge lines are escaped, and cut', async () => {
  const { options, lines, events } = records()
  const user = { name: `eve\n{"user":"root"}\u001b[2J\u202e${'x'.repeat(500)}`, groups: ['a\r\nb'] }
  await api(
    act(async (call) => void (await getVmi(call))),
    { ...options, authenticator: { authenticate: async () => user } },
  ).inject({ ...PAUSE, headers: { 'user-agent': 'a\tb' } })
  const [line] = lines() as { user: string; groups: string[]; userAgent: string }[]
  expect(line?.user).toMatch(/^eve\\u\{a\}\{"user":"root"\}\\u\{1b\}\[2J\\u\{202e\}x+…$/)
  expect(line?.user.length).toBe(256)
  expect(line?.groups).toEqual(['a\\u{d}\\u{a}b'])
  expect(line?.userAgent).toBe('a\\u{9}b')
  expect(events[0]?.message).not.toMatch(/\p{C}/u)
})

test('whoever leaves before the answer is written down', async () => {
  const { options, lines } = records()
  const started = Promise.withResolvers<void>()
  const server = await serveStreams(
    [
      act(async ({ signal }) => {
        started.resolve()
        await once(signal, 'abort')
      }),
    ],
    {},
    options,
  )
  const call = request({ ...PAUSE, path: PAUSE.url, host: '127.0.0.1', port: server.port })
  call.on('error', () => {})
  call.end()
  await started.promise
  call.destroy()
  await until(() => lines().length > 0)
  await sleep(50)
  expect(lines()).toMatchObject([
    { text: 'action abandoned', code: 499, reason: 'ClientGone', user: 'alice' },
  ])
})

test('a stream is written down when it opens and when it closes, with what went through', async () => {
  const { options, lines, events } = records()
  const guest = new StreamGuest()
  const console = streamOf(
    async (call) => {
      await getVmi(call)
      return guest
    },
    { name: 'console' },
  )
  const server = await serveStreams([console], {}, options)
  const socket = server.dial('/console')
  await once(socket, 'open')
  await until(() => lines().length === 1)
  expect(lines()).toMatchObject([{ text: 'stream opened', code: 101, vmiUid: 'u1', user: 'alice' }])
  socket.send(Buffer.from('password'))
  guest.push('prompt')
  await once(socket, 'message')
  await until(() => guest.bytes().length === 8)
  socket.close(1000)
  await until(() => lines().length === 2)
  expect(lines()[1]).toMatchObject({
    text: 'stream closed',
    code: 1000,
    bytesToClient: 6,
    bytesToGuest: 8,
    vmiUid: 'u1',
    durationMs: expect.any(Number),
  })
  await sleep(50)
  expect(lines()).toHaveLength(2)
  expect(JSON.stringify([lines(), events])).not.toContain('password')
  expect(events.map(({ reason, message }) => [reason, message])).toEqual([
    ['ConsoleOpened', 'console was opened: user "alice"'],
    ['ConsoleClosed', 'console was closed: user "alice"'],
  ])
})

test('a stream that is refused is written down once, and so are connections of which there are many', async () => {
  const { options, lines, events } = records()
  let guest: StreamGuest | undefined
  const forward = streamOf(
    async (call) => {
      await getVmi(call)
      if (!guest) throw conflict(VMI, 'vm1', 'VMI is paused')
      return guest
    },
    { name: 'portforward', paths: ['/:port'], halfClose: true },
  )
  const server = await serveStreams([forward], {}, options)
  await refusalOf(server.dial('/portforward/22'))
  await until(() => lines().length === 1)
  expect(lines()).toMatchObject([{ text: 'action refused', code: 409, params: { port: '22' } }])
  guest = new StreamGuest()
  const socket = server.dial('/portforward/22')
  await once(socket, 'open')
  socket.close(1000)
  await until(() => lines().length === 3)
  expect(events.map(({ reason }) => reason)).toEqual(['PortForwardOpened'])
})

const EXEC = '/guestexec?command=passwd&command=-d&command=a%0Ab&stdin=secret&env=secret&command='
const exec = (guest: StreamGuest) => ({
  ...guestexec,
  open: async (call: Call) => {
    await getVmi(call)
    return guest
  },
})
const lineOf = (output: object) => `${JSON.stringify(output)}\n`
const stdout = { stdout: Buffer.from('secret').toString('base64') }

test.each<[string, string[], object, object]>([
  ['has ended', ['v5.channel.k8s.io'], { exitCode: 3 }, { exitCode: 3 }],
  ['has ended well', ['plain.kubevirt.io'], { exitCode: 0 }, { exitCode: 0 }],
  ['was lost', ['plain.kubevirt.io'], { failure: 'a\nb' }, { failure: 'a\\u{a}b' }],
])(
  'a program that %s is written down with its arguments and what came of it',
  async (_, names, last, told) => {
    const { options, lines } = records()
    const guest = new StreamGuest()
    const server = await serveStreams([exec(guest)], {}, options)
    const socket = server.dial(EXEC, names)
    await once(socket, 'open')
    socket.send(Buffer.from('\0secret'))
    guest.push(lineOf(stdout) + lineOf(last))
    guest.push(null)
    await until(() => lines().length === 2)
    const command = ['passwd', '-d', 'a\\u{a}b', '']
    expect(lines()).toEqual([
      expect.objectContaining({ text: 'stream opened', code: 101, command }),
      expect.objectContaining({ text: 'stream closed', code: 1000, command, ...told }),
    ])
    expect(JSON.stringify(lines())).not.toMatch(/secret|c2VjcmV0/)
  },
)

test('a program that may not be run is written down with its arguments', async () => {
  const denied = { authorizer: { review: async () => ({ allowed: false, reason: '' }) } }
  const { options, lines } = records()
  const server = await serveStreams([exec(new StreamGuest())], {}, { ...options, ...denied })
  await refusalOf(server.dial(EXEC))
  expect(lines()).toMatchObject([{ code: 403, command: ['passwd', '-d', 'a\\u{a}b', ''] }])
  expect(JSON.stringify(lines())).not.toContain('secret')
})

test('a program that its client leaves is written down without an outcome', async () => {
  const { options, lines } = records()
  const server = await serveStreams([exec(new StreamGuest())], {}, options)
  const socket = server.dial(EXEC)
  await once(socket, 'open')
  socket.close(1000)
  await until(() => lines().length === 2)
  expect(Object.keys(lines()[1] as object)).not.toContain('exitCode')
})
