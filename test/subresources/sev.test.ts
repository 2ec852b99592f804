import { expect, test } from 'vitest'
import type { Vmi } from '../../src/kinds/kubevirt.ts'
import { VMIS } from '../../src/kinds/table.ts'
import { conflict } from '../../src/lib/errors.ts'
import type { Actions, SevSecret } from '../../src/rpc/actions.ts'
import { ALICE, apiOf, BASE, put, vmiOf } from '../helpers/api.ts'

const PAUSED = { conditions: [{ type: 'Paused', status: 'True' }] }
const BODY = '{"session":"c2Vzc2lvbg==","dhCert":"ZGg="}'
const SECRET = '{"header":"aGVhZA==","secret":"c2VjcmV0"}'
const GATE_OFF = { developerConfiguration: { disabledFeatureGates: ['WorkloadEncryptionSEV'] } }

function sevVmi(
  phase: 'Scheduled' | 'Running' | 'Pending',
  status: object = {},
  sev: object = { attestation: {} },
): Vmi {
  return vmiOf(phase, { spec: { domain: { devices: {}, launchSecurity: { sev } } }, status })
}

function recording() {
  const secrets: SevSecret[] = []
  const node: Partial<Actions> = {
    sevPlatform: async () => ({ pdh: 'cGRo', certChain: 'Y2VydHM=' }),
    sevMeasurement: async () => ({ measurement: 'bQ==', apiMajor: 1, apiMinor: 55, buildID: 24, policy: 1 }),
    sevInjectSecret: async (_guest, secret) => void secrets.push(secret),
  }
  return { secrets, node }
}

const PATH = '/virtualmachineinstances/vm1/sev'

async function ask(vmi: Vmi | undefined, name: string, configuration = {}) {
  const { secrets, node } = recording()
  const api = apiOf({ vmi, node, configuration })
  const url = `${BASE}${PATH}/${name}`
  const body = { setupsession: BODY, injectlaunchsecret: SECRET }[name]
  const response = body
    ? await put(api.app, `${PATH}/${name}`, body)
    : await api.app.inject({ method: 'GET', url, headers: ALICE })
  return { response, secrets, store: api.store }
}

test.each([
  ['fetchcertchain', 'scheduled', sevVmi('Scheduled'), 200],
  ['fetchcertchain', 'running', sevVmi('Running'), 200],
  ['fetchcertchain', 'pending', sevVmi('Pending'), 409],
  ['fetchcertchain', 'not to be attested', sevVmi('Running', {}, {}), 409],
  ['fetchcertchain', 'absent', undefined, 404],
  ['querylaunchmeasurement', 'paused', sevVmi('Running', PAUSED), 200],
  ['querylaunchmeasurement', 'running', sevVmi('Running'), 409],
  ['querylaunchmeasurement', 'scheduled', sevVmi('Scheduled', PAUSED), 409],
  ['querylaunchmeasurement', 'no SEV guest', vmiOf('Running', { status: PAUSED }), 409],
  ['querylaunchmeasurement', 'absent', undefined, 404],
  ['setupsession', 'scheduled', sevVmi('Scheduled'), 202],
  ['setupsession', 'running', sevVmi('Running'), 409],
  ['setupsession', 'set up already', sevVmi('Scheduled', {}, { attestation: {}, session: 'x' }), 409],
  ['setupsession', 'set up by half', sevVmi('Scheduled', {}, { attestation: {}, dhCert: 'x' }), 409],
  ['setupsession', 'not to be attested', sevVmi('Scheduled', {}, {}), 409],
  ['setupsession', 'absent', undefined, 404],
  ['injectlaunchsecret', 'paused', sevVmi('Running', PAUSED), 200],
  ['injectlaunchsecret', 'running', sevVmi('Running'), 409],
  ['injectlaunchsecret', 'scheduled', sevVmi('Scheduled', PAUSED), 409],
  ['injectlaunchsecret', 'absent', undefined, 404],
])('%s of a guest that is %s', async (name, _state, vmi, code) => {
  const { response, secrets } = await ask(vmi, name)
  expect(response.statusCode).toBe(code)
  const isRefused = response.body.includes('"Status"')
  expect(isRefused).toBe(code >= 400)
  expect(secrets).toHaveLength(name === 'injectlaunchsecret' && code === 200 ? 1 : 0)
})

test.each(['fetchcertchain', 'querylaunchmeasurement', 'setupsession', 'injectlaunchsecret'])(
  '%s is refused with 400 where the feature gate is off, whatever the guest is',
  async (name) => {
    const { response } = await ask(undefined, name, GATE_OFF)
    expect(response.json()).toMatchObject({ kind: 'Status', code: 400, reason: 'BadRequest' })
  },
)

test('what the node says of its platform and of the guest is passed on', async () => {
  const platform = await ask(sevVmi('Scheduled'), 'fetchcertchain')
  expect(platform.response.json()).toEqual({ pdh: 'cGRo', certChain: 'Y2VydHM=' })
  const measured = await ask(sevVmi('Running', PAUSED), 'querylaunchmeasurement')
  expect(measured.response.json()).toMatchObject({ measurement: 'bQ==', apiMajor: 1, buildID: 24 })
})

test('a session is written beside what stands there', async () => {
  const policy = { encryptedState: true }
  const { store } = await ask(sevVmi('Scheduled', {}, { attestation: {}, policy }), 'setupsession')
  const vmi = await store.get(VMIS, 'ns1', 'vm1')
  expect(vmi?.spec.domain.launchSecurity?.sev).toEqual({
    attestation: {},
    policy,
    session: 'c2Vzc2lvbg==',
    dhCert: 'ZGg=',
  })
})

test.each([
  ['{}', 'session'],
  ['{"session":"x"}', 'dhCert'],
  ['{"session":1}', 'session'],
  ['[]', 'object'],
])('the session %s is refused with 400', async (body, words) => {
  const { app } = apiOf({ vmi: sevVmi('Scheduled') })
  const response = await put(app, `${PATH}/setupsession`, body)
  expect(response.json()).toMatchObject({ code: 400, message: expect.stringContaining(words) })
})

test('the secret is given to the node, and its refusal is told', async () => {
  const { secrets } = await ask(sevVmi('Running', PAUSED), 'injectlaunchsecret')
  expect(secrets).toEqual([{ header: 'aGVhZA==', secret: 'c2VjcmV0' }])
  const refusing = {
    sevInjectSecret: () => Promise.reject(conflict({ group: '', kind: 'guest' }, 'vm1', 'bad')),
  }
  const { app } = apiOf({ vmi: sevVmi('Running', PAUSED), node: refusing })
  expect((await put(app, `${PATH}/injectlaunchsecret`, SECRET)).statusCode).toBe(409)
  expect((await put(app, `${PATH}/injectlaunchsecret`, '{"header":"x"}')).statusCode).toBe(400)
})
