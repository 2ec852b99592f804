import { expect, test } from 'vitest'
import { buildAdmission } from '../../src/admission/build.ts'
import { DERIVED_VALUES_ANNOTATION, readConfig, defaultConfig } from '../../src/admission/config.ts'
import { specDefaults } from '../../src/admission/defaults.ts'
import type { AdmissionParts } from '../../src/admission/judge.ts'
import { encode } from '../../src/admission/types/encode.ts'
import { answerReview, findWebhook } from '../../src/admission/webhooks/review.ts'
import { buildVmi as makeVmi } from '../../src/controllers/vm/template.ts'
import { deriveVm } from '../../src/instancetype/derive.ts'
import { buildExpander } from '../../src/instancetype/expand.ts'
import { hasReferences, InstancetypeError } from '../../src/instancetype/references.ts'
import type { Vm } from '../../src/kinds/kubevirt.ts'
import type { KubeObject } from '../../src/kinds/meta.ts'
import { DATA_SOURCES, INSTANCETYPES, PREFERENCES, PVCS, VMIS, VMS } from '../../src/kinds/table.ts'
import { applyJsonPatch } from '../../src/lib/json-patch.ts'
import { StatusError } from '../../src/lib/errors.ts'
import { copyJson, isRecord, type JsonRecord } from '../../src/lib/json.ts'
import { requestOf } from '../helpers/admission.ts'
import { readTargets, readVectors, recordedParts, reviewOf } from '../helpers/vectors.ts'
import { objectOf, readerOf } from '../instancetype/world.ts'

const label = (what: string, name: string) => ({ [`instancetype.kubevirt.io/default-${what}`]: name })
const objects: KubeObject[] = [
  objectOf(INSTANCETYPES, 'small', { spec: { cpu: { guest: 3 }, memory: { guest: '2Gi' } } }, 'default'),
  objectOf(
    PREFERENCES,
    'linux',
    {
      spec: {
        machine: { preferredMachineType: 'virt-9' },
        volumes: { preferredStorageClassName: 'fast' },
      },
    },
    'default',
  ),
  objectOf(
    PVCS,
    'labelled',
    {
      metadata: {
        labels: {
          ...label('instancetype', 'small'),
          ...label('instancetype-kind', 'VirtualMachineInstancetype'),
          ...label('preference', 'linux'),
          ...label('preference-kind', 'VirtualMachinePreference'),
        },
      },
    },
    'default',
  ),
  objectOf(
    DATA_SOURCES,
    'arm',
    { metadata: { labels: { 'template.kubevirt.io/architecture': 'arm64' } } },
    'default',
  ),
]

/** Admission with these objects, and these annotations on the KubeVirt object. */
function partsWith(annotations: Record<string, string> = {}): AdmissionParts {
  const config = readConfig(defaultConfig('amd64'), {}, annotations)
  const { reader, ...others } = recordedParts('default')
  return { ...others, config: () => config, reader: { ...reader, ...readerOf(...objects) } }
}

const RUNTIME = { [DERIVED_VALUES_ANNOTATION]: 'Runtime' }
const dataVolume = (name: string) => ({
  metadata: { name },
  spec: { storage: {}, sourceRef: { kind: 'DataSource', name: 'arm' } },
})
/** As somebody would write it: with empty members, amounts in a form of their own, and much left out. */
const written = (annotations?: Record<string, string>): JsonRecord => ({
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachine',
  metadata: { name: 'web', namespace: 'default', labels: {}, ...(annotations && { annotations }) },
  spec: {
    runStrategy: 'Always',
    instancetype: { inferFromVolume: 'root', inferFromVolumeFailurePolicy: 'Ignore' },
    preference: { inferFromVolume: 'root' },
    dataVolumeTemplates: [dataVolume('data')],
    template: {
      spec: {
        domain: { devices: { disks: [] }, memory: { guest: '1024Mi' } },
        volumes: [
          { name: 'root', persistentVolumeClaim: { claimName: 'labelled' } },
          { name: 'data', dataVolume: { name: 'data' } },
        ],
      },
    },
  },
})

async function ask(parts: AdmissionParts, path: string, object: unknown, old?: unknown): Promise<JsonRecord> {
  const webhook = findWebhook(path)
  if (!webhook) throw new Error(`there is no webhook ${path}`)
  const target = {
    path,
    gvk: { group: 'kubevirt.io', version: 'v1', kind: 'VirtualMachine' },
    gvr: { group: 'kubevirt.io', version: 'v1', resource: 'virtualmachines' },
    operation: old ? 'UPDATE' : 'CREATE',
    object: {},
    ...(old ? { oldObject: old as JsonRecord } : {}),
  }
  const { body } = await answerReview(parts, webhook, Buffer.from(JSON.stringify(reviewOf(target, object))))
  return (body as { response: JsonRecord }).response
}

/** The VM as it is stored by way of the webhooks, and what the validating one says of it. */
async function store(parts: AdmissionParts, object: unknown, old?: unknown) {
  const mutated = await ask(parts, '/virtualmachines-mutate', object, old)
  if (!mutated.allowed) return { verdict: mutated }
  const { patch: text } = mutated
  const patch = typeof text === 'string' ? JSON.parse(Buffer.from(text, 'base64').toString()) : []
  const stored = applyJsonPatch(copyJson(object), patch)
  return { stored, verdict: await ask(parts, '/virtualmachines-validate', stored, old) }
}

test('by default what follows from other values is written into the spec', async () => {
  const { stored, verdict } = await store(partsWith(), written())
  expect(verdict.allowed).toBe(true)
  expect(stored).toMatchObject({
    spec: {
      instancetype: { name: 'small', kind: 'VirtualMachineInstancetype' },
      preference: { name: 'linux', kind: 'VirtualMachinePreference' },
      dataVolumeTemplates: [{ spec: { storage: { storageClassName: 'fast' } } }],
      template: {
        spec: {
          architecture: 'arm64',
          domain: {
            machine: { type: 'virt-9' },
            firmware: { uuid: expect.any(String), serial: expect.any(String) },
          },
        },
      },
    },
  })
})

test.each([
  ['its own annotation', {}, RUNTIME],
  ['the annotation of the KubeVirt object', RUNTIME, undefined],
])('with %s a VM is stored as it was written, however often it is', async (_what, common, own) => {
  const parts = partsWith(common)
  const object = written(own)
  const { stored, verdict } = await store(parts, object)
  expect(verdict).toMatchObject({ allowed: true })
  expect(stored).toEqual(object)
  const again = await store(parts, stored, stored)
  expect(again.verdict).toMatchObject({ allowed: true })
  expect(again.stored).toEqual(object)
  const inProcess = await buildAdmission(parts).review(requestOf(VMS, object))
  expect(inProcess.object.metadata).toEqual(object.metadata)
  expect((inProcess.object as Vm).spec).toEqual(object.spec)
})

test('what a VM says counts more than what the KubeVirt object says', async () => {
  const { stored } = await store(partsWith(RUNTIME), written({ [DERIVED_VALUES_ANNOTATION]: 'Spec' }))
  expect(stored).toMatchObject({ spec: { instancetype: { name: 'small' } } })
})

test('a place that there is not is refused', async () => {
  const { verdict } = await store(partsWith(), written({ [DERIVED_VALUES_ANNOTATION]: 'Nowhere' }))
  expect(verdict).toMatchObject({
    allowed: false,
    status: {
      code: 422,
      details: {
        causes: [
          { reason: 'FieldValueNotSupported', field: `metadata.annotations[${DERIVED_VALUES_ANNOTATION}]` },
        ],
      },
    },
  })
})

test('what cannot be inferred, and what contradicts what is inferred, is refused all the same', async () => {
  const parts = partsWith(RUNTIME)
  const nowhere = written()
  Object.assign(nowhere.spec as object, { preference: { inferFromVolume: 'absent' } })
  expect((await store(parts, nowhere)).verdict).toMatchObject({ allowed: false, status: { code: 400 } })
  const contradiction = written() as unknown as Vm
  contradiction.spec.template.spec.domain.cpu = { cores: 2 }
  expect((await store(parts, contradiction)).verdict).toMatchObject({
    allowed: false,
    status: { code: 422, details: { causes: [{ field: 'spec.template.spec.domain.cpu.cores' }] } },
  })
})

/** The VMI that a stored VM is started with, as it is stored. */
async function guestOf(parts: AdmissionParts, vm: Vm): Promise<KubeObject> {
  const derived = await deriveVm(parts.reader, vm)
  const expander = buildExpander({ reader: parts.reader, defaults: () => specDefaults(parts.config()) })
  const template = hasReferences(derived) ? await expander.expandTemplate(derived) : derived.spec.template
  const { object } = await buildAdmission(parts).review(
    requestOf(VMIS, makeVmi(vm, { paused: false, template })),
  )
  return object
}

/** A guest without what is its own, with its empty members and amounts in one form. */
function anonymous(vmi: KubeObject): unknown {
  const { metadata, spec } = copyJson(vmi) as unknown as {
    metadata: JsonRecord
    spec: Vm['spec']['template']['spec']
  }
  delete spec.domain.firmware?.uuid
  delete spec.domain.firmware?.serial
  return {
    annotations: metadata.annotations,
    labels: metadata.labels,
    spec: encode('VirtualMachineInstanceSpec', spec),
  }
}

test('the guest is the same', async () => {
  const [parts, other] = [partsWith(), partsWith(RUNTIME)]
  // It was admitted as one.
  const completed = (await store(parts, written())).stored as Vm
  const guest = await guestOf(other, written() as unknown as Vm)
  expect(anonymous(guest)).toEqual(anonymous(await guestOf(parts, completed)))
  const derived = await deriveVm(other.reader, written() as unknown as Vm)
  expect(completed.spec.dataVolumeTemplates).toMatchObject(derived.spec.dataVolumeTemplates ?? [])
  const { spec } = (await guestOf(other, written() as unknown as Vm)) as unknown as Vm['spec']['template']
  expect(spec.domain.firmware).toEqual((guest as unknown as Vm['spec']['template']).spec.domain.firmware)
})

test('verdicts and guests of recorded VMs are the same with both', async () => {
  const recorded = recordedParts('default')
  const runtime: AdmissionParts = {
    ...recorded,
    config: () => ({ ...recorded.config(), derivedValues: 'Runtime', defaultArchitecture: 'amd64' }),
  }
  const spec: AdmissionParts = {
    ...recorded,
    config: () => ({ ...recorded.config(), defaultArchitecture: 'amd64' }),
  }
  const targets = readTargets()
  let guests = 0
  for (const { target: name, patch, expect: recordedVerdict } of readVectors('default').filter(
    (_vector, index) => index % 3 === 0,
  )) {
    const target = targets[name]
    if (
      target?.path !== '/virtualmachines-mutate' ||
      target.operation !== 'CREATE' ||
      !recordedVerdict.allowed
    )
      continue
    const object = applyJsonPatch(copyJson(target.object), patch)
    const [one, other] = [await store(spec, object), await store(runtime, object)]
    expect({ name, patch, status: outcomeOf(other.verdict) }).toEqual({
      name,
      patch,
      status: outcomeOf(one.verdict),
    })
    if (!one.verdict.allowed || !one.stored) continue
    const [guest, same] = await Promise.all([
      tryGuest(spec, one.stored as unknown as Vm),
      tryGuest(runtime, other.stored as Vm),
    ])
    expect({ name, patch, guest: same }).toEqual({ name, patch, guest })
    guests += 1
  }
  expect(guests).toBeGreaterThan(50)
})

/** Without the causes: a member that is empty is told apart from one that was left out. */
function outcomeOf({ allowed, status }: JsonRecord): unknown {
  return { allowed, code: isRecord(status) ? status.code : undefined }
}

/** The guest, or why there is none. */
async function tryGuest(parts: AdmissionParts, vm: Vm): Promise<unknown> {
  try {
    return anonymous(
      await guestOf(parts, { ...vm, metadata: { ...vm.metadata, namespace: 'default', uid: 'u' } }),
    )
  } catch (error) {
    if (!(error instanceof StatusError || error instanceof InstancetypeError)) throw error
    return error.message
  }
}
