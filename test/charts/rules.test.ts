/** Recording rules and alerts: that they are KubeVirt's, ask for what is there, and fire. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import type { Manifest } from '../../apiservice/manifest.ts'
import { FAMILIES } from '../../src/metrics/families/index.ts'
import type { Family } from '../../src/metrics/families/family.ts'
import { readChart } from '../helpers/chart.ts'
import { CHART } from '../helpers/chart-values.ts'
import { readGroupings, readSelectors } from '../helpers/promql.ts'
import { ALERT_CASES, type AlertCase } from './alert-cases.ts'
import { ALERTS, LEFT_OUT, RECORDED } from './kubevirt-rules.ts'

/** Source: `PrometheusRuleSpec` in the API reference of the Prometheus operator. */
interface Rules extends Manifest {
  spec: { groups: { name: string; rules: Rule[] }[] }
}

interface Rule {
  record?: string
  alert?: string
  expr: string
  for?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
}

/** What others tell, with the labels that are used. Source: kube-state-metrics' docs/metrics, and the kubelet's cAdvisor. */
const FOREIGN: Record<string, string[]> = {
  up: [],
  kube_pod_status_phase: ['phase'],
  kube_pod_status_ready: ['condition'],
  kube_pod_info: ['node'],
  kube_pod_container_resource_requests: ['container', 'resource'],
  kube_deployment_spec_replicas: ['deployment'],
  kube_daemonset_status_number_ready: ['daemonset'],
  kube_daemonset_status_desired_number_scheduled: ['daemonset'],
  kube_node_info: ['node'],
  kube_node_status_allocatable: ['node', 'resource'],
  kube_node_spec_unschedulable: ['node'],
  container_memory_working_set_bytes: ['container'],
  container_memory_rss: ['container'],
}

/** Labels that Prometheus gives each series by where it is from. */
const TARGET = ['namespace', 'pod']

const chart = readChart(CHART)
const manifests = rulesOf({ enabled: true })
const groups = manifests.flatMap(({ spec }) => spec.groups)
const rules = groups.flatMap((group) => group.rules)
const own: Record<string, Family> = FAMILIES
const families = new Map<string, string[]>([
  ...Object.entries(FOREIGN),
  ...Object.entries(own).map(([name, { labels }]): [string, string[]] => [name, labels]),
])
const recorded = new Set(rules.flatMap(({ record }) => record ?? []))

function rulesOf(prometheusRule: object, worker: object = {}): Rules[] {
  return chart
    .render({ values: { metrics: { prometheusRule }, worker } })
    .map(({ object }) => object as Rules)
    .filter(({ kind }) => kind === 'PrometheusRule')
}

function nameOf({ record, alert }: Rule): string {
  return record ?? alert ?? ''
}

test('there are none unless they are wanted', () => {
  expect(rulesOf({})).toEqual([])
  expect(manifests.map(({ metadata }) => metadata.name)).toEqual([
    'virtgate-alerts',
    'virtgate-recording-rules',
  ])
})

test('they are as the operator takes them, with the labels by which a Prometheus picks them', () => {
  for (const { apiVersion, metadata, spec } of rulesOf({
    enabled: true,
    labels: { release: 'prometheus' },
  })) {
    expect({ apiVersion, namespace: metadata.namespace }).toEqual({
      apiVersion: 'monitoring.coreos.com/v1',
      namespace: 'kubevirt',
    })
    expect(metadata.labels).toMatchObject({ release: 'prometheus' })
    expect(Object.keys(spec)).toEqual(['groups'])
  }
  const names = groups.map(({ name }) => name)
  expect(new Set(names).size).toBe(names.length)
  const fields = ['record', 'alert', 'expr', 'for', 'labels', 'annotations']
  expect(rules.flatMap((rule) => Object.keys(rule)).filter((key) => !fields.includes(key))).toEqual([])
})

test('recording rules are those of KubeVirt, but for what could never have data', () => {
  const expected = RECORDED.filter((name) => !LEFT_OUT.includes(name))
  expect([...recorded].toSorted()).toEqual(expected.toSorted())
})

test('alerts are those of KubeVirt with their severity and patience, but for what could never have data', () => {
  const expected = ALERTS.filter(([name]) => !LEFT_OUT.includes(name))
  const alerts = rules.filter(({ alert }) => alert !== undefined)
  const found = alerts.map(({ alert, labels, for: lasts }) =>
    [alert, labels?.['severity'], lasts].join(' ').trim(),
  )
  expect(found.toSorted()).toEqual(expected.map((one) => one.join(' ')).toSorted())
  const silent = alerts.filter(({ annotations }) => !annotations?.['summary']?.endsWith('.'))
  expect(silent).toEqual([])
})

test('the page for operators tells of every alert, and of what is left out', () => {
  const page = readFileSync('docs/alerts.md', 'utf8')
  const told = [...ALERTS.map(([name]) => name), ...LEFT_OUT]
  expect(told.filter((name) => !page.includes(`\`${name}\``))).toEqual([])
})

const named = rules.map((rule): [string, Rule] => [nameOf(rule), rule])

test.each(named)('%s asks for series that somebody tells, by labels that they have', (_name, { expr }) => {
  const selectors = readSelectors(expr)
  expect(selectors).not.toEqual([])
  const wrong = selectors.flatMap(({ name, labels }) => {
    const known = families.get(name)
    if (!known) return recorded.has(name) ? [] : [`nobody tells ${name}`]
    return labels
      .filter((label) => ![...known, ...TARGET].includes(label))
      .map((label) => `${name} has no ${label}`)
  })
  expect(wrong).toEqual([])
})

/** Labels of the series that it asks for, or of those that they were recorded from. */
function labelsBehind(expr: string): string[] {
  return readSelectors(expr).flatMap(
    ({ name }) =>
      families.get(name) ??
      rules.filter(({ record }) => record === name).flatMap((rule) => labelsBehind(rule.expr)),
  )
}

test.each(named)('%s groups and joins by labels that its series have', (_name, { expr }) => {
  const known = new Set([...TARGET, ...labelsBehind(expr)])
  expect(readGroupings(expr).filter((label) => !known.has(label))).toEqual([])
})

test('each rule comes behind those of its group that it reads', () => {
  for (const { rules: list } of groups) {
    const names = list.map(nameOf)
    for (const [at, { expr }] of list.entries()) {
      const later = names.slice(at + 1).filter((name) => !names.slice(0, at + 1).includes(name))
      expect(readSelectors(expr).filter(({ name }) => later.includes(name))).toEqual([])
    }
  }
})

test('every series of components is taken from the namespace of the release alone', () => {
  const ofComponents =
    /^(up|kube_(pod_status_phase|deployment|daemonset|pod_container)|container_|kubevirt_rest_client)/
  const picked = rules
    .flatMap(({ expr }) => readSelectors(expr))
    .filter(({ name }) => ofComponents.test(name))
  expect(picked.length).toBeGreaterThan(10)
  expect(picked.filter(({ labels }) => !labels.includes('namespace'))).toEqual([])
  expect(JSON.stringify(manifests)).not.toContain('Release')
  expect(JSON.stringify(rules)).toContain('namespace=\\"kubevirt\\"')
})

test('where the chart installs no workers, nothing is asked of them', () => {
  const left = rulesOf({ enabled: true }, { enabled: false }).flatMap(({ spec }) => spec.groups)
  expect(JSON.stringify(left)).not.toMatch(/handler|virtgate_node_kvm/i)
  expect(left.flatMap((group) => group.rules).length).toBeGreaterThan(30)
})

test('there is a case for every alert', () => {
  const cases = ALERT_CASES.map(({ alert, severity }) => `${alert} ${severity ?? ''}`.trim())
  const wanted = rules.flatMap(({ alert, labels }) =>
    alert === undefined
      ? []
      : [alert === 'GuestFilesystemAlmostOutOfSpace' ? `${alert} ${labels?.['severity']}` : alert],
  )
  expect([...new Set(cases)].toSorted()).toEqual(wanted.toSorted())
})

const hasPromtool = spawnSync('promtool', ['--version']).status === 0
if (!hasPromtool)
  process.stderr.write('SKIPPING TESTS OF ALERTS: there is no promtool. Install the package prometheus.\n')

describe.skipIf(!hasPromtool)('as Prometheus reckons', () => {
  let directory = ''
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'virtgate-rules-'))
    for (const { metadata, spec } of manifests) writeFileSync(fileOf(metadata.name), stringify(spec))
  })
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  function fileOf(name = ''): string {
    return join(directory, `${name}.yaml`)
  }

  const files = () => manifests.map(({ metadata }) => fileOf(metadata.name))

  test('it takes the rules, with the texts of their annotations', () => {
    expect(execFileSync('promtool', ['check', 'rules', ...files()], { encoding: 'utf8' })).toContain(
      'SUCCESS',
    )
  })

  // A round is a minute, or ten; alerts see what another group has recorded a round later.
  test.each(ALERT_CASES.map((one): [string, AlertCase] => [one.alert, one]))(
    '%s fires, and does not where all is well',
    (_name, { alert, severity, minutes, fires, stays }) => {
      const picked = `alertname="${alert}",alertstate="firing"${severity ? `,severity="${severity}"` : ''}`
      const suite = {
        rule_files: files(),
        evaluation_interval: minutes > 600 ? '10m' : '1m',
        tests: [
          [fires, 1],
          [stays, 0],
        ].map(([series, value]) => ({
          interval: '1m',
          input_series: Object.entries(series as object).map(([name, values]) => ({ series: name, values })),
          promql_expr_test: [
            {
              expr: `count(ALERTS{${picked}}) or vector(0)`,
              eval_time: `${minutes}m`,
              exp_samples: [{ labels: '{}', value }],
            },
          ],
        })),
      }
      const file = fileOf('suite')
      writeFileSync(file, stringify(suite))
      const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', file], { encoding: 'utf8' })
      expect({ status, said: status === 0 ? '' : stdout + stderr }).toEqual({ status: 0, said: '' })
    },
  )
})
