import { join } from 'node:path'
import { createGenerator, type Schema } from 'ts-json-schema-generator'
import { describe, expect, test } from 'vitest'
import { buildArgv, GuestConfigError } from '../../../src/qemu/argv/index.ts'
import { FIELDS } from '../../../src/qemu/argv/fields.ts'
import type { MachinePlan } from '../../../src/qemu/plan.ts'
import { makePlan, rawDisk } from '../plans.ts'

/** A field of the API: its path, `[]` for any element of a list, and what it may hold. */
interface Field {
  path: string
  type: 'string' | 'number' | 'boolean' | 'object'
}

const schema = createGenerator({
  path: join(import.meta.dirname, '../../../src/kinds/kubevirt.ts'),
  tsconfig: join(import.meta.dirname, '../../../tsconfig.json'),
  type: 'VmiSpec',
  skipTypeCheck: true,
}).createSchema('VmiSpec')

/** Every field that holds no further ones, as the published types have it. */
function* leavesOf(part: Schema | boolean | undefined, path: string): Generator<Field> {
  if (part === undefined || typeof part === 'boolean') return
  const name =
    part.$ref === undefined ? undefined : decodeURIComponent(part.$ref.replace('#/definitions/', ''))
  if (name !== undefined) {
    yield* leavesOf(schema.definitions?.[name], path)
    return
  }
  if (part.items) yield* leavesOf(part.items as Schema, `${path}[]`)
  const members = Object.entries(part.properties ?? {})
  for (const [member, inner] of members) yield* leavesOf(inner, path === '' ? member : `${path}.${member}`)
  if (part.items || members.length > 0) return
  const type = part.type
  yield { path, type: type === 'string' || type === 'number' || type === 'boolean' ? type : 'object' }
}

const fields = [...leavesOf(schema, '')]

/** Its own fate, or the one of what it lies in. */
function fateOf(path: string): unknown {
  const above = Object.keys(FIELDS).filter(
    (key) => path === key || path.startsWith(`${key}.`) || path.startsWith(`${key}[]`),
  )
  const nearest = above.sort((one, other) => other.length - one.length)[0]
  return nearest === undefined ? undefined : FIELDS[nearest]
}

/** A guest with something of everything, so that a field has something to change. */
function richPlan(): MachinePlan {
  return makePlan({
    accelerator: 'kvm',
    cpuFeatures: ['avx'],
    disks: [
      rawDisk('disk', '/d', { directIo: true }),
      rawDisk('cd', '/c', { readOnly: true }),
      rawDisk('lun', '/dev/x', { blockDevice: true }),
    ],
    spec: {
      volumes: ['disk', 'cd', 'lun'].map((name) => ({ name, emptyDisk: { capacity: '1Mi' } })),
      networks: [{ name: 'default', pod: {} }],
    },
    domain: {
      cpu: { cores: 2, sockets: 2, features: [{ name: 'avx', policy: 'disable' }] },
      memory: { guest: '1Gi' },
      resources: {},
    },
    devices: {
      disks: [
        { name: 'disk', disk: { bus: 'virtio' } },
        { name: 'cd', cdrom: { bus: 'sata' } },
        { name: 'lun', lun: { bus: 'scsi' } },
      ],
      inputs: [{ name: 'input', type: 'tablet', bus: 'usb' }],
      panicDevices: [{ model: 'isa' }],
      watchdog: { name: 'dog', i6300esb: {} },
      sound: { name: 'snd' },
    },
  })
}

const SAMPLES = {
  string: ['sample', '64Mi', '8', 'discard', 'writeback', 'None', 'Paused'],
  number: [3, 4096],
  boolean: [true, false],
  object: [{}, ['sample']],
}

/** The plan with a value at a path; an element of a list is the first that has a member on the way, or is made. */
function withValue(path: string, value: unknown): MachinePlan {
  const plan = richPlan()
  const steps = path.replaceAll('[]', '.[]').split('.')
  let at: Record<string, unknown> | unknown[] = plan.spec as unknown as Record<string, unknown>
  steps.forEach((step, index) => {
    const next = steps[index + 1]
    const isLast = next === undefined
    if (Array.isArray(at)) {
      const wanted = next ?? ''
      const found = at.findIndex(
        (element) => typeof element === 'object' && element !== null && wanted in element,
      )
      const place = found >= 0 ? found : 0
      at[place] = isLast ? value : (at[place] ?? {})
      at = at[place] as typeof at
    } else {
      at[step] = isLast ? value : (at[step] ?? (next === '[]' ? [] : {}))
      at = at[step] as typeof at
    }
  })
  return plan
}

/** What a plan comes to: its command line, what it has to do without, or why it cannot be. */
function outcomeOf(plan: MachinePlan): string {
  try {
    const { argv, degraded, linksDown } = buildArgv(plan, 0)
    return JSON.stringify({ argv, degraded, linksDown })
  } catch (error) {
    if (error instanceof GuestConfigError) return String(error)
    throw error
  }
}

/** Fields that a value of cannot be seen in the plan above, and why. */
const WITHOUT_EFFECT: Record<string, string> = {
  'domain.devices.autoattachInputDevice': 'an input is there; see devices.test.ts',
  'domain.devices.autoattachPodInterface': 'an interface is there; see network.test.ts',
  'domain.devices.disks[].cdrom.readonly': 'a CD-ROM always is',
  'domain.devices.interfaces[].masquerade': 'it is what the interface has; see network.test.ts',
  'domain.features.hyperv.vendorid.enabled': 'there is no id to show; see cpu.test.ts',
  'domain.ioThreads.supplementalPoolThreadCount': 'for one policy only; see disks.test.ts',
  'domain.resources.limits': 'a map; see cpu.test.ts and memory.test.ts',
  'domain.resources.requests': 'a map; see cpu.test.ts and memory.test.ts',
}

describe('the fields of the API', () => {
  test('are found in the published types', () => {
    expect(fields.length).toBeGreaterThan(300)
    expect(fields.map(({ path }) => path)).toContain('domain.devices.disks[].disk.bus')
  })

  test('all have a fate', () => {
    expect(fields.filter(({ path }) => fateOf(path) === undefined)).toEqual([])
  })

  test('the table names nothing that the API does not have', () => {
    // Newer than the published types.
    const newer = ['domain.devices.interfaces[].portRanges', 'networks[].resourceClaim']
    const known = [...fields.map(({ path }) => path), ...newer]
    const unknown = Object.keys(FIELDS).filter(
      (key) =>
        !known.some((path) => path === key || path.startsWith(`${key}.`) || path.startsWith(`${key}[]`)),
    )
    expect(unknown).toEqual([])
  })

  const built = fields.filter(({ path }) => fateOf(path) === 'built' && !(path in WITHOUT_EFFECT))
  test.each(built.map(({ path, type }) => [path, type] as const))(
    '%s makes a difference, or is refused',
    (path, type) => {
      const outcomes = SAMPLES[type].map((value) => outcomeOf(withValue(path, value)))
      const plain = outcomeOf(richPlan())
      expect(outcomes.some((outcome) => outcome !== plain)).toBe(true)
    },
  )
})

const refused = Object.entries(FIELDS).filter(([, fate]) => typeof fate === 'object')

describe('what cannot be had', () => {
  test.each(refused)('%s is refused, naming the field and what to do', (path, fate) => {
    const error = catchError(() => buildArgv(withValue(path, { name: 'x' })))
    expect(error).toBeInstanceOf(GuestConfigError)
    expect(error).toMatchObject({ ...(typeof fate === 'object' && { reason: fate.reason }) })
    const pattern = path.replaceAll(/[.]/g, String.raw`\.`).replaceAll('[]', String.raw`\[\d+\]`)
    expect(String(error)).toMatch(new RegExp(`spec\\.${pattern}: .*(remove|use|: )`))
  })

  test.each(refused)('%s that asks for nothing is fine', (path) => {
    const type = fields.find((field) => field.path === path)?.type
    const nothing =
      type === 'boolean' ? false : path === 'domain.devices.tpm' ? { enabled: false } : undefined
    expect(() => buildArgv(withValue(path, nothing))).not.toThrow()
    expect(() => buildArgv(withValue(path, null))).not.toThrow()
  })

  test('a field that nobody knows is refused rather than left out', () => {
    const plan = withValue('domain.devices.warpDrive', { speed: 9 })
    expect(() => buildArgv(plan)).toThrow(
      'spec.domain.devices.warpDrive: this version does not know the field',
    )
  })
})

function catchError(run: () => unknown): unknown {
  try {
    run()
    return undefined
  } catch (error) {
    return error
  }
}
