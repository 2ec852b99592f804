import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Report, Result } from '../../src/cli/validate/outcome.ts'
import { readTargets } from '../helpers/vectors.ts'

const MAIN = new URL('../../src/virtgate.mjs', import.meta.url).pathname

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'validate-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** Writes a file below the folder; answers its path. */
async function write(name: string, content: string): Promise<string> {
  const path = join(folder, name)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, content)
  return path
}

interface Ended {
  code: number
  stdout: string
  stderr: string
}

/** Runs the program in the folder. */
async function validate(args: string[], stdin = ''): Promise<Ended> {
  const child = spawn(process.execPath, [MAIN, 'validate', ...args], { cwd: folder })
  child.stdin.end(stdin)
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ])
  return { code, stdout, stderr }
}

type Told = Report & { summary: Record<Result | 'unreadable', number> }

async function report(args: string[], stdin = ''): Promise<Told & { code: number }> {
  const { code, stdout } = await validate(['-o', 'json', ...args], stdin)
  const told: Told = JSON.parse(stdout)
  return { code, ...told }
}

/** What is wrong, as `line:column reason field`. */
const errorsOf = ({ objects }: Told): string[] =>
  objects.flatMap(({ errors }) =>
    errors.map(({ line, column, field, reason }) => `${line}:${column} ${reason} ${field}`),
  )

const VM = `apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata:
  name: web
spec:
  runStrategy: Always
  template:
    spec:
      domain:
        devices: {}
`

test('a manifest without fault is told as such, and the exit code is 0', async () => {
  const { code, stdout } = await validate([await write('good.yaml', VM)])
  expect(stdout).toBe(`${folder}/good.yaml:1:1: VirtualMachine default/web: valid\n1 valid\n`)
  expect(code).toBe(0)
})

test('each fault stands with file, line and column, in several documents, behind comments', async () => {
  await write(
    'bad.yaml',
    `# two machines
---
${VM}---
# the second
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: db, namespace: team}
spec:
  running: true
  runStrategy: Always
  template:
    spec:
      domian: {}
      domain:
        devices:
          disks:
            - name: root
              disk: {bus: floppy}
      volumes:
        - name: data
          emptyDisk: {capacity: 1Gi}
`,
  )
  const { code, stdout } = await validate(['bad.yaml'])
  expect(stdout.split('\n')).toEqual([
    'bad.yaml:3:1: VirtualMachine default/web: valid',
    'bad.yaml:15:1: VirtualMachine team/db: invalid',
    'bad.yaml:19:3: error: spec.running: running and runStrategy exclude each other: leave out running',
    'bad.yaml:23:7: error: spec.template.spec.domian: is no field: remove it, or mend its name',
    'bad.yaml:27:15: error: spec.template.spec.domain.devices.disks[0].name: no volume is named "root": add one to volumes',
    'bad.yaml:28:22: error: spec.template.spec.domain.devices.disks[0].disk.bus: "floppy" is none of ide, virtio, sata, scsi, usb',
    '1 valid, 1 invalid',
    '',
  ])
  expect(code).toBe(1)
})

test('a field that is not there is told at what would hold it', async () => {
  const told = await report(
    ['-'],
    VM.replace('devices: {}', 'cpu: {cores: "2"}').replace('  name: web\n', '  labels: {}\n'),
  )
  expect(errorsOf(told)).toEqual([
    '3:1 FieldValueRequired metadata.name',
    '9:7 FieldValueRequired spec.template.spec.domain.devices',
    '10:15 FieldValueTypeInvalid spec.template.spec.domain.cpu.cores',
  ])
  expect(told.objects[0]?.file).toBe('<stdin>')
})

test('a fault behind an anchor and a merge stands where it was written', async () => {
  const told = await report(
    ['-'],
    `apiVersion: v1
kind: List
items:
  - apiVersion: kubevirt.io/v1
    kind: VirtualMachineInstance
    metadata: {name: a}
    spec: &spec
      domain:
        memory: {guest: 1Gi}
        devices:
          disks: [{name: root, disk: {bus: floppy}}]
      volumes: [{name: root, emptyDisk: {capacity: 1Gi}}]
  - apiVersion: kubevirt.io/v1
    kind: VirtualMachineInstance
    metadata: {name: b}
    spec:
      <<: *spec
      hostname: web
`,
  )
  const field = 'spec.domain.devices.disks[0].disk.bus'
  expect(errorsOf(told)).toEqual([`11:39 FieldValueInvalid ${field}`, `11:39 FieldValueInvalid ${field}`])
  expect(told.objects.map(({ name, line }) => `${name} ${line}`)).toEqual(['a 4', 'b 13'])
})

test('JSON is read in all the forms that kubectl takes', async () => {
  const vm = (name: string) => ({
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: { name },
    spec: { runStrategy: 'Sometimes', template: { spec: { domain: { devices: {} } } } },
  })
  await write('json/one.json', JSON.stringify(vm('one'), undefined, '\t'))
  await write(
    'json/stream.json',
    `${JSON.stringify(vm('two'))}\n${JSON.stringify(vm('three'), undefined, 2)}\n`,
  )
  const { apiVersion, kind: _kind, ...bare } = vm('four')
  await write('json/list.json', JSON.stringify({ apiVersion, kind: 'VirtualMachineList', items: [bare] }))
  const told = await report(['json'])
  expect(told.objects.map(({ name, file }) => `${name} ${file}`)).toEqual([
    'four json/list.json',
    'one json/one.json',
    'two json/stream.json',
    'three json/stream.json',
  ])
  expect(errorsOf(told)).toEqual([
    '1:105 FieldValueInvalid spec.runStrategy',
    '8:3 FieldValueInvalid spec.runStrategy',
    '1:90 FieldValueInvalid spec.runStrategy',
    '9:5 FieldValueInvalid spec.runStrategy',
  ])
  expect(told.code).toBe(1)
})

test('folders are read without what is below them, and with it if asked to; other files are left', async () => {
  await write('tree/a.yml', VM)
  await write('tree/notes.txt', 'not a manifest: [')
  await write('tree/below/b.yaml', VM.replace('web', 'deep'))
  const namesOf = ({ objects }: Told) => objects.map(({ name }) => name)
  expect(namesOf(await report(['tree']))).toEqual(['web'])
  expect(namesOf(await report(['-R', 'tree']))).toEqual(['web', 'deep'])
})

const DEVICE = `apiVersion: kubevirt.io/v1
kind: VirtualMachineInstance
metadata: {name: gpu}
spec:
  domain:
    memory: {guest: 1Gi}
    devices:
      gpus: [{name: one, deviceName: nvidia.com/gpu}]
      hostDevices: [{name: two, deviceName: vendor.com/dev}]
`
const KUBEVIRT = `apiVersion: kubevirt.io/v1
kind: KubeVirt
metadata: {name: kubevirt, namespace: kubevirt}
spec:
  configuration:
    developerConfiguration: {featureGates: [HostDevices]}
`

test('a KubeVirt object among the files, or given for the cluster, says feature gates', async () => {
  await write('gates/vmi.yaml', DEVICE)
  const without = await report(['gates'])
  expect(errorsOf(without)).toEqual(['9:7 FieldValueInvalid spec.HostDevices'])
  await write('kubevirt.yaml', KUBEVIRT)
  expect((await report(['--cluster', 'kubevirt.yaml', 'gates'])).summary).toMatchObject({ valid: 1 })
  expect((await report(['kubevirt.yaml', 'gates'])).summary).toMatchObject({ valid: 2 })
})

test('a KubeVirt object that no cluster would take up, and two of them, are refused', async () => {
  await write('zero.yaml', KUBEVIRT.replace('{featureGates', '{cpuAllocationRatio: 0, featureGates'))
  const { code, stderr } = await validate(['zero.yaml'])
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr:
      'virtgate: zero.yaml: KubeVirt: spec.configuration: developerConfiguration.cpuAllocationRatio must be above 0\n',
  })
  const two = await validate(['-'], `${KUBEVIRT}---\n${KUBEVIRT}`)
  expect(two).toMatchObject({ code: 2, stderr: expect.stringContaining('a second KubeVirt object') })
})

test('instance types and preferences among the files count; one that is not there is named', async () => {
  const instancetype = `apiVersion: instancetype.kubevirt.io/v1beta1
kind: VirtualMachineInstancetype
metadata: {name: small}
spec: {cpu: {guest: 1}, memory: {guest: 1Gi}}
`
  const vm = `${VM.replace('devices: {}', 'devices: {}\n        cpu: {cores: 2}')}  instancetype: {name: small, kind: VirtualMachineInstancetype}\n`
  const alone = await report(['-'], vm)
  expect(alone.objects[0]).toMatchObject({
    result: 'valid',
    notes: ['not among the files: VirtualMachineInstancetype default/small'],
  })
  const both = await report(['-'], `${vm}---\n${instancetype}`)
  expect(errorsOf(both)).toEqual(['11:15 FieldValueInvalid spec.template.spec.domain.cpu.cores'])
})

test('what depends on objects elsewhere is undecided, which only --strict minds', async () => {
  const migration = `apiVersion: kubevirt.io/v1
kind: VirtualMachineInstanceMigration
metadata: {name: m}
spec: {vmiName: web}
`
  const told = await report(['-'], migration)
  expect(told).toMatchObject({ code: 0, summary: { undecided: 1 } })
  expect(told.objects[0]?.notes).toEqual([
    'there is no VMI "web" in the namespace "default"',
    'not among the files: VirtualMachineInstance default/web',
  ])
  expect(await report(['--strict', '-'], migration)).toMatchObject({ code: 1 })
})

test('warnings stand apart from errors; --strict counts them, and kinds that nobody knows', async () => {
  const old = VM.replace('runStrategy: Always', 'running: true')
  const told = await report(['-'], old)
  expect(told).toMatchObject({ code: 0, summary: { valid: 1, invalid: 0 } })
  expect(told.objects[0]?.warnings).toEqual([
    {
      line: 6,
      column: 3,
      field: 'spec.running',
      reason: '',
      message: expect.stringContaining('runStrategy'),
    },
  ])
  expect(await report(['--strict', '-'], old)).toMatchObject({ code: 1 })
  const foreign = 'apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: t}\n'
  expect(await report(['-'], foreign)).toMatchObject({ code: 0, summary: { skipped: 1 } })
  expect(await report(['--strict', '-'], foreign)).toMatchObject({ code: 1, summary: { skipped: 1 } })
})

test('a version that is not served is refused with the one that is', async () => {
  const told = await report(
    ['-'],
    'apiVersion: pool.kubevirt.io/v1\nkind: VirtualMachinePool\nmetadata: {name: p}\nspec: {}\n',
  )
  expect(told.objects[0]?.errors).toEqual([
    expect.objectContaining({
      line: 1,
      column: 1,
      field: 'apiVersion',
      message: 'is not served: write pool.kubevirt.io/v1beta1',
    }),
  ])
})

test('what cannot be read is named with its place, beside all else, and the exit code is 2', async () => {
  await write('broken/a.yaml', `${VM}---\nkind: [unclosed\n`)
  await write('broken/b.yaml', 'just: text\n')
  await write('broken/c.yaml', `apiVersion: v1\nkind: List\nitems: [3]\n`)
  await write(
    'broken/d.yaml',
    `a: &a [x, x]\n${Array.from({ length: 9 }, (_, n) => `b${n}: [${'*a, '.repeat(30)}]`).join('\n')}\n`,
  )
  const { code, stdout } = await validate(['broken', 'absent.yaml'])
  expect(code).toBe(2)
  expect(stdout).toMatch(/^broken\/a\.yaml:13:1: cannot be read: Flow sequence/m)
  expect(stdout).toMatch(/^broken\/b\.yaml:1:1: cannot be read: is no Kubernetes object/m)
  expect(stdout).toMatch(/^broken\/c\.yaml:1:1: cannot be read: item 0: is no Kubernetes object/m)
  expect(stdout).toMatch(/^broken\/d\.yaml:1:1: cannot be read: Excessive alias count/m)
  expect(stdout).toMatch(/^absent\.yaml: cannot be read: ENOENT/m)
  expect(stdout).toMatch(/1 valid, 5 unreadable\n$/)
})

test('a command line that makes no sense ends with 2; --help tells the exit codes', async () => {
  expect(await validate([])).toMatchObject({ code: 2, stderr: expect.stringContaining("argument 'file'") })
  expect(await validate(['-o', 'xml', '-'])).toMatchObject({ code: 2 })
  const help = await validate(['--help'])
  expect(help.code).toBe(0)
  expect(help.stdout).toMatch(/Exit codes:\n {2}0 .*\n {2}1 .*\n {2}2 /)
})

test('every kind of the webhooks is judged', async () => {
  const objects = Object.entries(readTargets())
    .filter(
      ([, { operation, path }]) =>
        operation === 'CREATE' && path.includes('validate') && !path.includes('status'),
    )
    .map(([, { object }]) => object)
    .filter(({ kind }) => kind !== 'Eviction')
  const told = await report(['-'], objects.map((object) => JSON.stringify(object)).join('\n'))
  expect(told.objects).toHaveLength(objects.length)
  expect(new Set(told.objects.map(({ kind }) => kind)).size).toBeGreaterThanOrEqual(17)
  expect(told.objects.filter(({ result }) => result === 'skipped')).toEqual([])
})
