/** What the chart renders, before a real kube-apiserver. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Manifest } from '../../apiservice/manifest.ts'
import { readChart, type Rendered } from '../helpers/chart.ts'
import { CHART, readValueSets } from '../helpers/chart-values.ts'
import { requireKube } from '../helpers/kube-cluster/binaries.ts'
import { startControlPlane, type ControlPlane } from '../helpers/kube-cluster/control-plane.ts'
import { apply, kubectl } from '../helpers/kube-cluster/kubectl.ts'
import { applyKinds } from '../helpers/kube-cluster/objects.ts'

const chart = readChart(CHART)
const RESTRICTED = 'restricted-pods'
const LEVEL = {
  'pod-security.kubernetes.io/enforce': 'restricted',
  'pod-security.kubernetes.io/enforce-version': 'latest',
}

function namespace(name: string, labels: Record<string, string>): Manifest {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }
}

/** The account of pods that name none. */
function account(where: string): Manifest {
  return { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: where } }
}

/** Kinds that not every cluster has. */
function isKnown({ object: { apiVersion } }: Rendered): boolean {
  return !/^(cert-manager\.io|monitoring\.coreos\.com)\//.test(apiVersion)
}

requireKube()('the chart before a real kube-apiserver', () => {
  const stack = new AsyncDisposableStack()
  let plane: ControlPlane

  beforeAll(async () => {
    plane = stack.use(await startControlPlane())
    await applyKinds(plane)
    const accounts = chart
      .render()
      .flatMap(({ object }) => (object.kind === 'ServiceAccount' ? [object] : []))
    const there = [
      namespace('kubevirt', {}),
      namespace(RESTRICTED, LEVEL),
      // Pods are looked at only where their account is there.
      ...accounts,
      account(RESTRICTED),
    ]
    await apply(plane.admin, there)
  })
  afterAll(() => stack.disposeAsync())

  /** Has kube-apiserver check objects as it would when they are applied. */
  async function tryOut(objects: readonly Partial<Manifest>[]) {
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects })
    const flags = ['--server-side', '--dry-run=server', '--validate=strict', '--warnings-as-errors']
    const args = ['apply', ...flags, '-f', '-']
    const { status, stderr } = await kubectl(plane.admin, args, list)
    return { status, stderr }
  }

  test.each(readValueSets())('%s: everything is accepted without a warning', async (_name, values) => {
    const rendered = chart.render({ values }).filter(isKnown)
    expect(rendered.length).toBeGreaterThan(40)
    expect(await tryOut(rendered.map(({ object }) => object))).toEqual({ status: 0, stderr: '' })
  })

  test.each([
    ['as they are', {}],
    ['with a port below 1024', { apiServer: { webhookPort: 443 } }],
  ])(
    'pods that need nothing from their node may run where Pod Security is restricted: %s',
    async (_how, values) => {
      for (const { object } of chart.render({ namespace: RESTRICTED, values })) {
        const { spec } = object as { spec?: { template?: { metadata: object; spec: object } } }
        if (!spec?.template || object.kind === 'DaemonSet') continue
        const metadata = {
          ...spec.template.metadata,
          name: String(object.metadata.name),
          namespace: RESTRICTED,
        }
        const pod = {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata,
          spec: { ...spec.template.spec, serviceAccountName: 'default' },
        }
        expect(await tryOut([pod])).toEqual({ status: 0, stderr: '' })
      }
    },
  )
})
