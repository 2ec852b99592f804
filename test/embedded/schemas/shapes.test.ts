import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { openSchemas } from '../../../src/embedded/schemas/open.ts'
import type { KubeObject } from '../../../src/kinds/meta.ts'
import { CONFIGMAPS, KINDS, NODES, SECRETS, VMIS, VMS } from '../../../src/kinds/table.ts'

const shapes = openSchemas()

// Bodies are what a client sends, whatever their types.
const check = (kind: (typeof KINDS)[number], object: object) => shapes.check(kind, object as KubeObject)

const hello = (): { spec: { template: { spec: Record<string, unknown> } } } =>
  parse(readFileSync('examples/hello-vm.yaml', 'utf8'))

/** A VMI as a running one looks on the wire. */
const running = {
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachineInstance',
  metadata: {
    name: 'hello',
    namespace: 'default',
    uid: '0d7e3c55-0000-4000-8000-000000000001',
    resourceVersion: '42',
    generation: 9,
    creationTimestamp: '2026-01-01T00:00:00Z',
    annotations: { 'kubevirt.io/latest-observed-api-version': 'v1' },
    finalizers: ['kubevirt.io/virtualMachineControllerFinalize', 'foregroundDeleteVirtualMachine'],
    labels: { 'kubevirt.io/nodeName': 'n1' },
    ownerReferences: [
      {
        apiVersion: 'kubevirt.io/v1',
        blockOwnerDeletion: true,
        controller: true,
        kind: 'VirtualMachine',
        name: 'hello',
        uid: 'b78d35d5-4d78-4de9-a547-ce84e659c9a4',
      },
    ],
  },
  spec: {
    architecture: 'amd64',
    domain: {
      cpu: { cores: 1, sockets: 1, threads: 1, maxSockets: 4, model: 'host-model' },
      devices: {
        disks: [{ name: 'root', disk: { bus: 'virtio' } }],
        interfaces: [{ name: 'default', masquerade: {}, ports: [{ port: 22, protocol: 'TCP' }] }],
        rng: {},
      },
      features: { acpi: { enabled: true } },
      firmware: { uuid: '0d7e3c55-0000-4000-8000-000000000002' },
      machine: { type: 'q35' },
      memory: { guest: '128Mi', maxGuest: '512Mi' },
      resources: { requests: { memory: '128Mi', cpu: 1 } },
    },
    evictionStrategy: 'None',
    livenessProbe: { httpGet: { port: 80 }, initialDelaySeconds: 5 },
    readinessProbe: { tcpSocket: { port: 'ssh' } },
    networks: [{ name: 'default', pod: {} }],
    volumes: [
      { name: 'root', containerDisk: { image: 'example/disk:1', imagePullPolicy: 'IfNotPresent' } },
      { name: 'cloudinit', cloudInitNoCloud: { userData: '#cloud-config' } },
    ],
  },
  status: {
    VSOCKCID: 7,
    activePods: { '0d7e3c55-0000-4000-8000-000000000003': 'n1' },
    conditions: [
      { type: 'Ready', status: 'True', lastProbeTime: null, lastTransitionTime: '2026-01-01T00:00:05Z' },
      {
        type: 'LiveMigratable',
        status: 'False',
        reason: 'DisksNotLiveMigratable',
        message: 'no shared disk',
      },
    ],
    currentCPUTopology: { cores: 1, sockets: 1, threads: 1 },
    guestOSInfo: {},
    interfaces: [{ name: 'default', ipAddress: '10.0.2.2', ipAddresses: ['10.0.2.2'], queueCount: 1 }],
    machine: { type: 'pc-q35-9.0' },
    memory: { guestAtBoot: '128Mi', guestCurrent: '128Mi', guestRequested: '128Mi' },
    nodeName: 'n1',
    phase: 'Running',
    phaseTransitionTimestamps: [{ phase: 'Running', phaseTransitionTimestamp: '2026-01-01T00:00:05Z' }],
    qosClass: 'Burstable',
    runtimeUser: 107,
    selinuxContext: 'none',
    virtualMachineRevisionName: 'revision-start-vm-1',
    volumeStatus: [{ name: 'root', target: 'vda' }],
  },
}

test('every kind of the table has a schema', () => {
  for (const kind of KINDS) expect(() => check(kind, {})).not.toThrow()
})

test('a running VMI passes', () => {
  expect(check(VMIS, running)).toMatchObject({ causes: [], unknownFields: [] })
})

test('the example passes', () => {
  expect(check(VMS, hello())).toEqual({ causes: [], unknownFields: [], hasNulls: false })
})

test('a misspelt field is found in the template of a VM', () => {
  const vm = hello()
  Object.assign(vm.spec.template.spec, { domian: {} })
  expect(check(VMS, vm).unknownFields).toEqual(['spec.template.spec.domian'])
})

test('wrong types are named as kube-apiserver names them', () => {
  const vm = hello()
  Object.assign(vm.spec.template.spec, { terminationGracePeriodSeconds: 'soon', volumes: [{ name: 1 }] })
  expect(check(VMS, vm).causes).toEqual([
    {
      reason: 'FieldValueTypeInvalid',
      field: 'spec.template.spec.terminationGracePeriodSeconds',
      message:
        'Invalid value: "string": spec.template.spec.terminationGracePeriodSeconds in body must be of type integer: "string"',
    },
    expect.objectContaining({ field: 'spec.template.spec.volumes[0].name' }),
  ])
})

test.each([
  ['no template', { spec: {} }, 'spec.template'],
  ['no spec', {}, 'spec'],
  ['no devices', { spec: { template: { spec: { domain: {} } } } }, 'spec.template.spec.domain.devices'],
])('a VM with %s lacks it', (_what, vm, field) => {
  expect(check(VMS, vm).causes).toEqual([
    expect.objectContaining({ reason: 'FieldValueRequired', field, message: 'Required value' }),
  ])
})

test('metadata is checked as the rest is', () => {
  const report = check(CONFIGMAPS, {
    metadata: { name: 'a', labels: { a: 1 }, ownerReferences: [{ nmae: 'x' }] },
  })
  expect(report.causes.map(({ field }) => field)).toContain('metadata.labels[a]')
  expect(report.unknownFields).toEqual(['metadata.ownerReferences[0].nmae'])
})

test('null counts as absent', () => {
  const vm = { metadata: { name: 'a', creationTimestamp: null }, spec: { ...hello().spec, running: null } }
  const report = check(VMS, vm)
  expect(report).toMatchObject({ causes: [], hasNulls: true })
  expect(shapes.prune(VMS, vm as unknown as KubeObject)).toEqual({
    metadata: { name: 'a' },
    spec: hello().spec,
  })
})

test('the data of a Secret is base64', () => {
  expect(check(SECRETS, { data: { a: 'YQ==' }, stringData: { b: 'no base64!' } }).causes).toEqual([])
  expect(check(SECRETS, { data: { a: 'no base64!' } }).causes).toHaveLength(1)
})

test('a status may be filled in step by step', () => {
  expect(check(NODES, { status: { nodeInfo: { kubeletVersion: 'v1' } } }).causes).toEqual([])
})

test('what is pruned is gone, and only that', () => {
  const vm = hello()
  const wrong = structuredClone(vm)
  Object.assign(wrong.spec.template.spec, { domian: {} })
  expect(shapes.prune(VMS, wrong as unknown as KubeObject)).toEqual(vm)
})
