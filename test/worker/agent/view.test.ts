import { expect, test } from 'vitest'
import { agentConditions, mergeInterfaces, withAgent } from '../../../src/worker/agent/view.ts'
import { newState } from '../../../src/worker/guest/state.ts'

const OURS = {
  name: 'default',
  mac: '02:00:00:00:00:01',
  ipAddress: '10.0.2.2',
  ipAddresses: ['10.0.2.2'],
  infoSource: 'domain',
}
const state = { ...newState({ uid: 'u', namespace: 'n', name: 'vm' }, 1), agentConnected: true }

test('the address that this node has assigned stays the first, whatever a guest says', () => {
  const claim = {
    name: 'eth0',
    mac: '02:00:00:00:00:01',
    addresses: ['169.254.169.254', '10.0.2.2', '10.9.9.9'],
  }
  const [card] = mergeInterfaces([OURS], [claim])
  expect(card).toEqual({
    name: 'default',
    mac: '02:00:00:00:00:01',
    ipAddress: '10.0.2.2',
    ipAddresses: ['10.0.2.2', '169.254.169.254', '10.9.9.9'],
    interfaceName: 'eth0',
    infoSource: 'domain, guest-agent',
  })
})

test('one without an address gets what the guest says, and those of the guest come last without a name', () => {
  const bridge = { name: 'net1', mac: '02:00:00:00:00:02', infoSource: 'domain' }
  const merged = mergeInterfaces(
    [OURS, bridge],
    [
      { name: 'lo', addresses: [] },
      { name: 'eth1', mac: '02:00:00:00:00:02', addresses: ['192.168.1.5'] },
      { name: 'docker0', mac: '02:42:00:00:00:01', addresses: ['172.17.0.1'] },
    ],
  )
  expect(merged).toEqual([
    OURS,
    {
      ...bridge,
      ipAddress: '192.168.1.5',
      ipAddresses: ['192.168.1.5'],
      interfaceName: 'eth1',
      infoSource: 'domain, guest-agent',
    },
    {
      mac: '02:42:00:00:00:01',
      ipAddress: '172.17.0.1',
      ipAddresses: ['172.17.0.1'],
      interfaceName: 'docker0',
      infoSource: 'guest-agent',
    },
  ])
})

test('conditions are there or not, never False', () => {
  expect(agentConditions({ ...state, agentConnected: false })).toEqual([])
  const agent = { os: {}, interfaces: [], frozen: false }
  expect(agentConditions({ ...state, agent }).map(({ type }) => type)).toEqual(['AgentConnected'])
  expect(agentConditions({ ...state, agent: { ...agent, supported: true } })).toHaveLength(1)
  expect(agentConditions({ ...state, agent: { ...agent, supported: false } })).toEqual([
    { type: 'AgentConnected', status: 'True' },
    expect.objectContaining({ type: 'AgentVersionNotSupported', status: 'True' }),
  ])
})

test('a guest is shown frozen when that is certain, and not before', () => {
  expect(withAgent({}, state)).toEqual({})
  expect(withAgent({}, { ...state, frozen: { confirmed: false } })).toEqual({})
  expect(withAgent({}, { ...state, frozen: { confirmed: true } })).toEqual({ fsFreezeStatus: 'frozen' })
  const agent = { os: { id: 'debian' }, interfaces: [], frozen: true }
  expect(withAgent({}, { ...state, agent })).toEqual({
    fsFreezeStatus: 'frozen',
    guestOSInfo: { id: 'debian' },
  })
})
