/** Clients that leave before they have an answer, by either protocol: kube-apiserver and kubectl speak HTTP/2. */
import { Agent, request } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { ALICE, apiOf, BASE, vmiOf } from '../helpers/api.ts'
import { makeAuthority, servingPair } from '../helpers/pki.ts'

test.each([
  ['HTTP/1.1', false],
  ['HTTP/2', true],
])(
  'a call whose client leaves over %s is given up, and is written down as that',
  async (_protocol, allowH2) => {
    const authority = await makeAuthority()
    const called = Promise.withResolvers<AbortSignal | undefined>()
    const pause = (_guest: unknown, signal?: AbortSignal) => {
      called.resolve(signal)
      return new Promise<void>(() => {})
    }
    const { app, log } = apiOf({ vmi: vmiOf(), node: { pause } }, { tls: await servingPair(authority) })
    onTestFinished(() => app.close())
    const url = await app.listen({ port: 0, host: '127.0.0.1' })
    const dispatcher = new Agent({ allowH2, connect: { ca: authority.cert } })
    onTestFinished(() => dispatcher.destroy())
    const leave = new AbortController()
    const answer = request(`${url}${BASE}/virtualmachineinstances/vm1/pause`, {
      method: 'PUT',
      headers: ALICE,
      dispatcher,
      signal: leave.signal,
    })
    const signal = await called.promise
    expect(signal?.aborted).toBe(false)
    leave.abort()
    await expect(answer).rejects.toThrow('aborted')
    await expect.poll(() => signal?.aborted, { timeout: 20_000 }).toBe(true)
    const abandoned = () =>
      log.lines.filter(({ text }) => text === 'action abandoned').map(({ fields }) => fields)
    await expect.poll(abandoned, { timeout: 20_000 }).toMatchObject([{ code: 499, reason: 'ClientGone' }])
  },
)
