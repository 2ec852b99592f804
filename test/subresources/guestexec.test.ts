import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { subresourceRules, type SubresourceRole } from '../../src/auth/bootstrap/subresource-grants.ts'
import { StatusError } from '../../src/lib/errors.ts'
import type { ExecOptions } from '../../src/rpc/actions.ts'
import { guestexec } from '../../src/subresources/guestexec.ts'
import { vmiOf } from '../helpers/api.ts'
import { streamCall } from '../helpers/stream-call.ts'

const running = vmiOf('Running', { status: { conditions: [{ type: 'AgentConnected', status: 'True' }] } })

function recording() {
  const seen: ExecOptions[] = []
  const stream = new PassThrough()
  const node = {
    guestExec: async (_guest: unknown, options: ExecOptions) => {
      seen.push(options)
      return stream
    },
  }
  return { seen, stream, node }
}

/** A call with these values of `command`. */
function callOf(
  command: string[],
  query: Record<string, string> = {},
  more: Parameters<typeof streamCall>[0] = {},
) {
  const call = streamCall({ vmi: running, query, ...more })
  return { ...call, queryAll: (name: string) => (name === 'command' ? command : call.queryAll(name)) }
}

test('the program and its arguments go to the node as they are, in order', async () => {
  const { seen, stream, node } = recording()
  expect(await guestexec.open(callOf(['sh', '-c', 'a; b'], { timeoutSeconds: '30' }, { node }))).toBe(stream)
  await guestexec.open(callOf(['ls', ''], { stdout: 'true', stderr: 'true', tty: 'false' }, { node }))
  expect(seen).toEqual([
    { command: ['sh', '-c', 'a; b'], timeoutSeconds: 30 },
    { command: ['ls', ''], timeoutSeconds: 0 },
  ])
  expect(guestexec.framing?.(callOf(['ls']))).toBe('exec')
})

test.each<[string, string[], Record<string, string>]>([
  ['no command', [], {}],
  ['an empty one', ['', 'x'], {}],
  ['a NUL in it', ['a\0b'], {}],
  ['a long one', ['x'.repeat(33_000)], {}],
  ['input', ['ls'], { stdin: 'true' }],
  ['a terminal', ['ls'], { tty: 'true' }],
  ['an odd flag', ['ls'], { tty: 'maybe' }],
  ['an odd time', ['ls'], { timeoutSeconds: '1.5' }],
  ['a negative time', ['ls'], { timeoutSeconds: '-1' }],
  ['a time without end', ['ls'], { timeoutSeconds: '999999999' }],
])('%s is refused with 400 before the node is asked', async (_what, command, query) => {
  const { seen, node } = recording()
  await expect(guestexec.open(callOf(command, query, { node }))).rejects.toMatchObject({ code: 400 })
  expect(seen).toEqual([])
})

test.each([
  ['absent', undefined, 404],
  ['scheduled', vmiOf('Scheduled'), 409],
  ['without an agent', vmiOf(), 409],
])('a guest that is %s is refused', async (_state, vmi, code) => {
  const { node } = recording()
  await expect(guestexec.open(callOf(['ls'], {}, { vmi, node }))).rejects.toMatchObject({ code })
})

test.each([409, 429, 503, 504])('that the node answers %d is passed on', async (code) => {
  const guestExec = () => Promise.reject(new StatusError(code, 'X', 'no'))
  await expect(guestexec.open(callOf(['ls'], {}, { node: { guestExec } }))).rejects.toMatchObject({ code })
})

test.each<[SubresourceRole, string[]]>([
  ['admin', ['create', 'get']],
  ['edit', []],
  ['view', []],
  ['controller', []],
])('%s may %j it', (role, verbs) => {
  const rules = subresourceRules(role).filter(({ resources }) =>
    resources?.includes('virtualmachineinstances/guestexec'),
  )
  expect(rules.flatMap((rule) => rule.verbs)).toEqual(verbs)
})
