/** Contract: admission-mutating.md, 6. */
import { describe, expect, test } from 'vitest'
import type { JsonRecord } from '../../../src/lib/json.ts'
import { operationsOf, respond, stored, type Edits, type Subject } from '../../helpers/rule-cases.ts'

const owners = [{ kind: 'VirtualMachineInstance', apiVersion: 'kubevirt.io/v1', name: 'vm' }]
const POD: Subject = {
  group: '',
  version: 'v1',
  resource: 'pods',
  path: '/virt-launcher-pod-mutate',
  object: {
    kind: 'Pod',
    apiVersion: 'v1',
    metadata: { namespace: 'default', labels: { 'kubevirt.io': 'virt-launcher' }, ownerReferences: owners },
    spec: {
      containers: [
        {
          name: 'compute',
          image: 'launcher:1',
          volumeMounts: [
            { name: 'data', mountPath: '/data' },
            { name: 'deep', mountPath: '/data/deep' },
          ],
        },
      ],
      volumes: [
        { name: 'data', configMap: { name: 'c' } },
        { name: 'deep', emptyDir: {} },
      ],
    },
  },
}

/** A guest that shares a folder. */
function guest(path: string, spec: JsonRecord = {}, members: JsonRecord = { readOnly: true }): Edits {
  const volumes = [{ name: 'f', containerPath: { path, ...members } }]
  const domain = { devices: { filesystems: [{ name: 'f', virtiofs: {} }] }, ...spec }
  return { '@objects': [stored('VirtualMachineInstance', 'vm', { spec: { domain, volumes } })] }
}

const added = async (edits: Edits) => operationsOf(await respond(POD, edits))
const mounts = (value: unknown) => (value as { volumeMounts: JsonRecord[] }).volumeMounts[1]

describe('the launcher of a guest that shares folders', () => {
  test('MUT-POD-008: gets a container for each', async () => {
    expect(await added(guest('/data'))).toEqual([
      {
        op: 'add',
        path: '/spec/containers/-',
        value: {
          name: 'virtiofs-f',
          image: 'launcher:1',
          imagePullPolicy: 'IfNotPresent',
          command: ['/usr/libexec/virtiofsd'],
          args: [
            '--socket-path=/var/run/kubevirt/virtiofs-containers/f.sock',
            '--shared-dir=/virtiofs-data/f',
            '--sandbox=none',
            '--cache=auto',
            '--migration-on-error=guest-error',
            '--migration-mode=find-paths',
          ],
          volumeMounts: [
            { name: 'virtiofs-containers', mountPath: '/var/run/kubevirt/virtiofs-containers' },
            { name: 'data', mountPath: '/virtiofs-data/f', readOnly: true },
          ],
          securityContext: {
            runAsUser: 107,
            runAsGroup: 107,
            runAsNonRoot: true,
            allowPrivilegeEscalation: false,
            capabilities: { drop: ['ALL'] },
          },
          resources: { requests: { cpu: '10m', memory: '1M' }, limits: { cpu: '100m', memory: '80M' } },
        },
      },
    ])
  })

  test.each<[string, string, JsonRecord]>([
    ['the mount itself', '/data', { name: 'data' }],
    ['a folder of it', '/data/a/b', { name: 'data', subPath: 'a/b' }],
    ['the deepest mount', '/data/deep/x', { name: 'deep', subPath: 'x' }],
  ])('MUT-POD-006: %s', async (_what, path, source) => {
    const [operation] = await added(guest(path))
    expect(mounts(operation?.value)).toEqual({ ...source, mountPath: '/virtiofs-data/f', readOnly: true })
  })

  test.each<[string, Edits]>([
    [
      'MUT-POD-001: something else than a pod',
      { ...guest('/data'), '@request': { resource: { resource: 'nodes' } } },
    ],
    ['MUT-POD-001: another pod', { ...guest('/data'), 'metadata.labels': { app: 'a' } }],
    ['MUT-POD-001: no pod at all', { ...guest('/data'), 'spec.containers': 'none' }],
    ['MUT-POD-002: nobody’s pod', { ...guest('/data'), 'metadata.ownerReferences': [] }],
    ['MUT-POD-002: the pod of nothing', {}],
    [
      'MUT-POD-003: it has its container',
      { ...guest('/data'), 'spec.containers[1]': { name: 'virtiofs-f' } },
    ],
    ['MUT-POD-003: no filesystem of the name', guest('/data', { devices: {} })],
    ['MUT-POD-004', { ...guest('/data'), 'spec.containers[0].name': 'other' }],
    ['MUT-POD-005', guest('/data', {}, {})],
    ['MUT-POD-006: nothing is mounted there', guest('/database')],
    ['MUT-POD-007', { ...guest('/data'), 'spec.volumes[0]': { name: 'data', persistentVolumeClaim: {} } }],
  ])('%s: nothing is added', async (_id, edits) => {
    expect(await respond(POD, edits)).toEqual({ uid: 'u-1', allowed: true })
  })

  test('tokens belong to somebody else in there', async () => {
    const projected = { name: 'data', projected: { sources: [{ serviceAccountToken: {} }] } }
    const [operation] = await added({ ...guest('/data'), 'spec.volumes[0]': projected })
    expect(operation).toMatchObject({
      value: { args: expect.arrayContaining(['--translate-uid=host:107:0:1']) },
    })
  })

  const both = { requests: { cpu: '1', memory: '1Gi' }, limits: { cpu: '1', memory: '1Gi' } }
  test.each<[string, JsonRecord, JsonRecord]>([
    ['with pinned CPUs', { cpu: { dedicatedCpuPlacement: true } }, { cpu: '100m', memory: '80M' }],
    ['that is guaranteed', { resources: both }, { cpu: '100m', memory: '80M' }],
    ['of any other kind', { resources: { requests: { cpu: '1' } } }, { cpu: '10m', memory: '1M' }],
  ])('what it asks for, for a guest %s', async (_what, spec, requests) => {
    const domain = { devices: { filesystems: [{ name: 'f', virtiofs: {} }] }, ...spec }
    const [operation] = await added(guest('/data', domain))
    expect(operation).toMatchObject({ value: { resources: { requests } } })
  })

  test('the KubeVirt object may say what it asks for', async () => {
    const supportContainerResources = [
      { type: 'virtiofs', resources: { requests: { cpu: '0' }, limits: { memory: '1Gi' } } },
      { type: 'virtiofs', resources: { requests: { cpu: '20m' } } },
    ]
    const [operation] = await added({ ...guest('/data'), '@configuration': { supportContainerResources } })
    expect(operation).toMatchObject({
      value: {
        resources: { requests: { cpu: '20m', memory: '1M' }, limits: { cpu: '100m', memory: '1Gi' } },
      },
    })
  })
})
