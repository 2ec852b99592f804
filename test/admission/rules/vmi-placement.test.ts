/** Contract: admission-vmi.md, 4.6 and 4.7. */
import { describe } from 'vitest'
import { NEW_POOL, NEW_VMI, testRules, type RuleCase } from '../../helpers/rule-cases.ts'

const R = 'requiredDuringSchedulingIgnoredDuringExecution'
const Q = 'preferredDuringSchedulingIgnoredDuringExecution'
const AT = 'spec.affinity'
const NODE = `${AT}.nodeAffinity`
const term = (expression: object) => ({ matchExpressions: [expression] })
const fields = (requirement: object) => ({ matchFields: [requirement] })
const required = (nodeTerm: object) => ({ [`${NODE}.${R}`]: { nodeSelectorTerms: [nodeTerm] } })
const TERM = `spec.nodeAffinity.${R}.nodeSelectorTerms[0]`
const isIn = { key: 'zone', operator: 'In', values: ['a'] }
const named = { key: 'metadata.name', operator: 'In', values: ['n1'] }

describe('affinity to nodes', () => {
  testRules(NEW_VMI, [
    [
      'VMI-AFF-001',
      { [`${NODE}.${R}`]: { nodeSelectorTerms: [] } },
      `Invalid spec.nodeAffinity.${R}.nodeSelectorTerms`,
      required(term(isIn)),
    ],
    [
      'VMI-AFF-002',
      required(term({ ...isIn, key: 'a/b/c' })),
      `Invalid ${TERM}.matchExpressions[0].key`,
      required(term({ ...isIn, key: 'a.b/c' })),
    ],
    [
      'VMI-AFF-003',
      { [`${NODE}.${Q}`]: [{ weight: 101, preference: term(isIn) }] },
      `Invalid spec.nodeAffinity.${Q}[0].weight`,
      { [`${NODE}.${Q}`]: [{ weight: 100, preference: term(isIn) }] },
    ],
    [
      'VMI-AFF-004',
      { [`${NODE}.${Q}`]: [{ weight: 1, preference: term({ ...isIn, values: [] }) }] },
      `Invalid spec.nodeAffinity.${Q}[0].preference.matchExpressions[0].values`,
      { [`${NODE}.${Q}`]: [{ weight: 1, preference: term(isIn) }] },
    ],
    [
      'VMI-AFF-010',
      required(term({ ...isIn, operator: 'NotIn', values: [] })),
      `Invalid ${TERM}.matchExpressions[0].values`,
      required(term({ ...isIn, operator: 'NotIn' })),
    ],
    [
      'VMI-AFF-011',
      required(term({ ...isIn, operator: 'Exists' })),
      `Invalid ${TERM}.matchExpressions[0].values`,
      required(term({ key: 'zone', operator: 'DoesNotExist' })),
    ],
    [
      'VMI-AFF-012',
      required(term({ key: 'cores', operator: 'Gt', values: ['1', '2'] })),
      `Invalid ${TERM}.matchExpressions[0].values`,
      required(term({ key: 'cores', operator: 'Lt', values: ['1'] })),
    ],
    [
      'VMI-AFF-014',
      required(term({ ...isIn, key: '' })),
      `Invalid ${TERM}.matchExpressions[0].key`,
      required(term({ ...isIn, key: 'kubernetes.io/hostname' })),
    ],
    [
      'VMI-AFF-015',
      required(fields({ ...named, values: ['n1', 'n2'] })),
      `Invalid ${TERM}.matchFields[0].values`,
      required(fields(named)),
    ],
    [
      'VMI-AFF-016',
      required(fields({ key: 'metadata.name', operator: 'Exists' })),
      `Invalid ${TERM}.matchFields[0].operator`,
      required(fields({ ...named, operator: 'NotIn' })),
    ],
    [
      'VMI-AFF-017',
      required(fields({ ...named, key: 'metadata.uid' })),
      `Invalid ${TERM}.matchFields[0].key`,
      required(fields(named)),
    ],
    [
      'VMI-AFF-018',
      required(fields({ ...named, values: ['N_1'] })),
      `Invalid ${TERM}.matchFields[0].values[0]`,
      required(fields(named)),
    ],
  ])
})

const POD = { labelSelector: { matchLabels: { app: 'a' } }, topologyKey: 'zone' }
const together = (podTerm: object) => ({ [`${AT}.podAffinity.${R}`]: [podTerm] })
const PLACE = `spec.podAffinity.${R}[0]`

describe('affinity to pods', () => {
  testRules(NEW_VMI, [
    [
      'VMI-AFF-005',
      { [`${AT}.podAntiAffinity.${R}`]: [{ ...POD, topologyKey: '-' }] },
      `Invalid spec.podAntiAffinity.${R}[0].topologyKey`,
      { [`${AT}.podAntiAffinity.${R}`]: [POD] },
    ],
    [
      'VMI-AFF-006',
      { [`${AT}.podAffinity.${Q}`]: [{ weight: 0, podAffinityTerm: POD }] },
      `Invalid spec.podAffinity.${Q}[0].weight`,
      { [`${AT}.podAntiAffinity.${Q}`]: [{ weight: 1, podAffinityTerm: POD }] },
    ],
    [
      'VMI-AFF-007',
      { [`${AT}.podAffinity.${Q}`]: [{ weight: 1, podAffinityTerm: { ...POD, topologyKey: '-' } }] },
      `Invalid spec.podAffinity.${Q}[0].podAffinityTerm.topologyKey`,
      { [`${AT}.podAffinity.${Q}`]: [{ weight: 1, podAffinityTerm: POD }] },
    ],
    [
      'VMI-AFF-020',
      together({ ...POD, labelSelector: { matchLabels: { 'a b': 'c' } } }),
      `Invalid ${PLACE}.labelSelector.matchLabels`,
      together(POD),
    ],
    [
      'VMI-AFF-021',
      together({ ...POD, namespaceSelector: { matchExpressions: [{ key: 'a', operator: 'In' }] } }),
      `Invalid ${PLACE}.namespaceSelector.matchExpressions[0].values`,
      together({ ...POD, namespaceSelector: {} }),
    ],
    [
      'VMI-AFF-022',
      together({ ...POD, namespaces: ['ok', 'No'] }),
      `Invalid ${PLACE}.namespace`,
      together({ ...POD, namespaces: ['ok'] }),
    ],
    ['VMI-AFF-023', together({ ...POD, topologyKey: '' }), `Invalid ${PLACE}.topologyKey`, together(POD)],
    ['VMI-AFF-024', together({ ...POD, topologyKey: 'a b' }), `Invalid ${PLACE}.topologyKey`, together(POD)],
  ])
})

const SPREAD = 'spec.topologySpreadConstraints'
const even = { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule' }

describe('spreading', () => {
  testRules(NEW_VMI, [
    [
      'VMI-TSC-001',
      { [SPREAD]: [{ ...even, maxSkew: 0 }] },
      `Invalid ${SPREAD}[0].maxSkew`,
      { [SPREAD]: [even] },
    ],
    [
      'VMI-TSC-002',
      { [SPREAD]: [{ ...even, topologyKey: '' }] },
      `Invalid ${SPREAD}[0].topologyKey`,
      { [SPREAD]: [even] },
    ],
    [
      'VMI-TSC-003',
      { [SPREAD]: [{ ...even, topologyKey: 'a b' }] },
      `Invalid ${SPREAD}[0].topologyKey`,
      { [SPREAD]: [{ ...even, topologyKey: 'a.b/c' }] },
    ],
    [
      'VMI-TSC-005',
      { [SPREAD]: [{ ...even, labelSelector: { matchLabels: { a: 'b c' } } }] },
      `Invalid ${SPREAD}.labelSelector.matchLabels`,
      { [SPREAD]: [{ ...even, labelSelector: { matchLabels: { a: 'b' } } }] },
    ],
    [
      'VMI-TSC-006',
      { [SPREAD]: [even, even] },
      `Invalid ${SPREAD}[0].{topologyKey, whenUnsatisfiable}`,
      { [SPREAD]: [even, { ...even, whenUnsatisfiable: 'ScheduleAnyway' }] },
    ],
  ])
})

/** The shape of a pool's guests is not looked at: what the schema refuses elsewhere is up to the rules there. */
describe('what only pools get as far as', () => {
  const S = 'spec.virtualMachineTemplate.spec.template.spec'
  const node = `${S}.affinity.nodeAffinity.${R}.nodeSelectorTerms`
  const cases: RuleCase[] = [
    [
      'VMI-AFF-013',
      { [node]: [term({ key: 'zone', operator: 'Like' })] },
      `Invalid ${S}.nodeAffinity.${R}.nodeSelectorTerms[0].matchExpressions[0].operator`,
      { [node]: [term(isIn)] },
    ],
    [
      'VMI-TSC-004',
      { [`${S}.topologySpreadConstraints`]: [{ ...even, whenUnsatisfiable: 'Never' }] },
      `Invalid ${S}.topologySpreadConstraints[0].whenUnsatisfiable`,
      { [`${S}.topologySpreadConstraints`]: [even] },
    ],
    [
      'VMI-DNS-001',
      { [`${S}.dnsPolicy`]: 'Sometimes' },
      `NotSupported ${S}.dnsPolicy`,
      { [`${S}.dnsPolicy`]: 'Default' },
    ],
  ]
  testRules(NEW_POOL, cases)
})
