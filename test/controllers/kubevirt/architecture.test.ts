import { expect, test } from 'vitest'
import { architectureOf } from '../../../src/controllers/kubevirt/architecture.ts'
import type { Node } from '../../../src/kinds/core.ts'

/** A node with a worker unless it says otherwise. */
function node(architecture: string | undefined, { isWorker = true, told = 'label' } = {}): Node {
  const labels = {
    ...(isWorker && { 'kubevirt.io/schedulable': 'true' }),
    ...(architecture && told === 'label' && { 'kubernetes.io/arch': architecture }),
  }
  const metadata = {
    name: 'n',
    uid: 'u',
    resourceVersion: '1',
    creationTimestamp: '2026-01-01T00:00:00Z',
    labels,
  }
  const status = architecture && told === 'status' ? { nodeInfo: { architecture } } : {}
  return { apiVersion: 'v1', kind: 'Node', metadata, status }
}

test.each<[string, Node[], string | undefined, string | undefined]>([
  ['there is none without nodes', [], undefined, undefined],
  ['there is none without workers', [node('arm64', { isWorker: false })], undefined, undefined],
  ['nor any more when the last one is gone', [node('arm64', { isWorker: false })], 'arm64', undefined],
  ['a node that does not say counts for nothing', [node(undefined)], undefined, undefined],
  ['it is that of the only worker', [node('arm64')], undefined, 'arm64'],
  ['a kubelet tells it in the status, too', [node('arm64', { told: 'status' })], undefined, 'arm64'],
  ['what was wrong is put right', [node('arm64')], 'amd64', 'arm64'],
  ['an empty one counts as none', [node('arm64')], '', 'arm64'],
  ['most win', [node('amd64'), node('arm64'), node('arm64')], undefined, 'arm64'],
  ['but not over what there is', [node('amd64'), node('arm64'), node('arm64')], 'amd64', 'amd64'],
  ['the first by name, where as many have another', [node('arm64'), node('amd64')], undefined, 'amd64'],
  [
    'most of those left, where nobody has what there was',
    [node('s390x'), node('arm64'), node('s390x')],
    'amd64',
    's390x',
  ],
])('%s', (_what, nodes, before, wanted) => {
  expect(architectureOf(nodes, before)).toBe(wanted)
  expect(architectureOf(nodes.toReversed(), before)).toBe(wanted)
})
