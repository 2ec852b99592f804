/** Contract: admission-others.md, 16. */
import { describe, expect, test } from 'vitest'
import { respond, testRules, type Subject } from '../../helpers/rule-cases.ts'

const PLUGIN: Subject = {
  group: 'plugin.kubevirt.io',
  version: 'v1alpha1',
  resource: 'plugins',
  path: '/plugin-validate',
  object: { kind: 'Plugin', apiVersion: 'plugin.kubevirt.io/v1alpha1', metadata: { name: 'p' }, spec: {} },
}
const on = { '@on': ['Plugins'] }
const elsewhere = {
  '@request': { resource: { group: 'plugin.kubevirt.io', version: 'v1', resource: 'others' } },
}
const hook = (members: object) => ({ ...on, 'spec.domainHooks': [members] })
const node = (condition: string) => ({
  ...on,
  'spec.nodeHooks': [{ socket: '/s', permittedHooks: ['PreStart'], condition }],
})
const HOOK = 'Invalid spec.domainHooks[0]'
const cel = (expression: string) => hook({ cel: { expression } })
const sidecar = (socketPath: string) => hook({ sidecar: { socketPath } })

describe('plugins', () => {
  testRules(PLUGIN, [
    ['PLG-001', { ...on, ...elsewhere }, '400', on],
    ['PLG-002', {}, '400', { '@old': {} }],
    ['PLG-003', { ...on, 'metadata.labels': { a: 1 } }, '400', on],
    [
      'PLG-004',
      { ...on, 'spec.condition': 'vmi.Spec.' },
      'Invalid spec.condition',
      { ...on, 'spec.condition': 'vmi.Spec.Paused' },
    ],
    ['PLG-005', cel('domainSpec.Title == "a"'), `${HOOK}.cel.expression`, cel('Domain{Title: "a"}')],
    ['PLG-006', hook({ condition: '1' }), `${HOOK}.condition`, hook({ condition: 'domainSpec.Title == ""' })],
    [
      'PLG-007',
      node('domainSpec.Title == ""'),
      'Invalid spec.nodeHooks[0].condition',
      node('vmi.spec.domain.cpu.cores > 1'),
    ],
    ['PLG-008', sidecar('/run//a'), `${HOOK}.sidecar.socketPath`, sidecar('run/a')],
    ['PLG-008: an empty one', sidecar(''), `${HOOK}.sidecar.socketPath`, sidecar('.')],
  ])

  test('ADM-DENY-004: every cause is told, the first one first, and there is no code', async () => {
    const domainHooks = Array.from({ length: 12 }, () => ({ sidecar: { socketPath: 'a/' } }))
    const { status } = await respond(PLUGIN, { ...on, 'spec.domainHooks': domainHooks })
    expect(status).toEqual({
      metadata: {},
      reason: 'Invalid',
      message: expect.stringMatching(/^spec\.domainHooks\[0\]\.sidecar\.socketPath: /),
      details: { causes: expect.objectContaining({ length: 12 }) },
    })
  })
})
