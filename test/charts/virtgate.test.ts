import { readdirSync, readFileSync } from 'node:fs'
import { Command } from 'commander'
import { expect, test } from 'vitest'
import type * as models from '@kubernetes/client-node'
import { buildChartTemplates } from '../../apiservice/chart.ts'
import { buildFiles, OWN_NODES } from '../../apiservice/files.ts'
import { DEFAULTS, type InstallOptions, type Manifest } from '../../apiservice/manifest.ts'
import { addDoctor } from '../../src/cli/commands/doctor.ts'
import { addUnregister } from '../../src/cli/commands/unregister.ts'
import { openSchemas } from '../../src/embedded/schemas/open.ts'
import type { KubeObject } from '../../src/kinds/meta.ts'
import { ENROL_AUDIENCE } from '../../src/kinds/enrolment.ts'
import {
  CONTROLLER_SERVICE_NAME,
  REGISTRATIONS,
  TLS_SECRETS,
  TRUST_CONFIGMAP_NAME,
} from '../../src/kinds/installation.ts'
import { KUBEVIRTS } from '../../src/kinds/table.ts'
import { addRoles } from '../../src/roles/commands.ts'
import { enrolmentWish, servingWish, workerWish } from '../../src/roles/certificates/wishes.ts'
import { readChart, type Rendered } from '../helpers/chart.ts'
import { CHART, readValueSets } from '../helpers/chart-values.ts'
import { checkByModel } from '../helpers/kubernetes-schemas.ts'

const chart = readChart(CHART)
const sets = readValueSets().map(([name, values]) => ({ name, values, rendered: chart.render({ values }) }))
const schemas = openSchemas()
const program = new Command()
const signal = new AbortController().signal
const context = { ...process, signal }
addRoles(program, signal)
addDoctor(program, context, async () => [])
addUnregister(program, context)

type PodTemplate = models.V1PodTemplateSpec

function ofKind(rendered: readonly Rendered[], kind: string): Manifest[] {
  return rendered.map(({ object }) => object).filter((object) => object.kind === kind)
}

/** Pods that come to be: the kind and name of what makes them, and what they are. */
function podsOf(rendered: readonly Rendered[]): [string, PodTemplate][] {
  return rendered.flatMap(({ object }): [string, PodTemplate][] => {
    const name = `${object.kind} ${object.metadata.name}`
    if (object.kind === 'Pod') return [[name, object]]
    const { spec } = object as { spec?: { template?: PodTemplate } }
    return spec?.template ? [[name, spec.template]] : []
  })
}

function podNamed(rendered: readonly Rendered[], name: string): models.V1PodSpec {
  const spec = podsOf(rendered).find(([one]) => one === name)?.[1].spec
  if (!spec) throw new Error(`there is no ${name}`)
  return spec
}

function setNamed(name: string): readonly Rendered[] {
  const set = sets.find((one) => one.name === name)
  if (!set) throw new Error(`there are no values called ${name}`)
  return set.rendered
}

function matches(selector: Record<string, string> | undefined, { metadata }: PodTemplate): boolean {
  return Object.entries(selector ?? {}).every(([name, value]) => metadata?.labels?.[name] === value)
}

test('the generated templates are those that npm run generate would write, and no others', () => {
  const directory = `${CHART}/templates/generated`
  const written = readdirSync(directory).map((name) => [name, readFileSync(`${directory}/${name}`, 'utf8')])
  expect(Object.fromEntries(written)).toEqual(Object.fromEntries(buildChartTemplates()))
})

test.each(sets)('$name: no object is there twice', ({ rendered }) => {
  const names = rendered.map(
    ({ object: { kind, metadata } }) => `${kind} ${metadata.namespace}/${metadata.name}`,
  )
  expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([])
})

test.each(sets)('$name: every object is as its kind has to be', ({ rendered }) => {
  const wrong = rendered.flatMap(({ template, object }) => {
    const found = checkByModel(object) ?? checkOwn(object)
    return found.map((text) => `${template}: ${object.kind} ${object.metadata.name}: ${text}`)
  })
  expect(wrong).toEqual([])
})

/** Kinds that Kubernetes does not have. */
function checkOwn(object: Manifest): string[] {
  if (object.apiVersion === 'cert-manager.io/v1') return []
  // `rules.test.ts` looks at them.
  if (object.kind === 'PrometheusRule') return []
  if (object.kind === 'ServiceMonitor') return [...checkServiceMonitor(object)]
  if (object.kind !== KUBEVIRTS.kind) return ['nobody here knows this kind']
  // What the API adds to metadata is not there yet, and nobody asks for it.
  const { causes, unknownFields } = schemas.check(KUBEVIRTS, object as KubeObject)
  return [...causes.map(({ field }) => field ?? ''), ...unknownFields]
}

/** What we use of it. Source: the API reference of the Prometheus operator, `ServiceMonitorSpec`. */
const ENDPOINT_FIELDS = [
  'port',
  'path',
  'scheme',
  'honorLabels',
  'interval',
  'authorization',
  'bearerTokenFile',
  'tlsConfig',
]

function* checkServiceMonitor({ apiVersion, ...object }: Manifest): Iterable<string> {
  const { spec } = object as unknown as ServiceMonitor
  if (apiVersion !== 'monitoring.coreos.com/v1') yield 'another version'
  for (const field of Object.keys(spec)) {
    if (!['namespaceSelector', 'selector', 'endpoints'].includes(field)) yield field
  }
  for (const endpoint of spec.endpoints) {
    yield* Object.keys(endpoint).filter((field) => !ENDPOINT_FIELDS.includes(field))
    const tls = Object.keys(endpoint.tlsConfig)
    yield* tls.filter((field) => !['ca', 'cert', 'keySecret', 'serverName'].includes(field))
    if (endpoint.scheme !== 'https' || !endpoint.honorLabels) yield 'scheme or honorLabels'
  }
}

interface ServiceMonitor {
  spec: {
    selector: { matchLabels: Record<string, string> }
    endpoints: {
      port: string
      scheme: string
      honorLabels: boolean
      interval?: string
      bearerTokenFile?: string
      authorization?: { credentials: { name: string; key: string } }
      tlsConfig: {
        ca: Record<string, { name: string; key: string }>
        cert?: { secret: { name: string; key: string } }
        keySecret?: { name: string; key: string }
        serverName: string
      }
    }[]
  }
}

test.each(sets)('$name: everything says that it belongs to the release', ({ rendered, values }) => {
  const without = rendered.filter(
    ({ object }) => object.metadata.labels?.['app.kubernetes.io/instance'] !== 'virtgate',
  )
  expect(without).toEqual([])
  if (!('commonLabels' in values)) return
  expect(rendered.filter(({ object }) => !object.metadata.labels?.['team'])).toEqual([])
})

test.each(sets)('$name: what pods are started with are options of the program', ({ rendered }) => {
  const wrong: string[] = []
  for (const [name, { spec }] of podsOf(rendered)) {
    for (const { args: [command, ...args] = [] } of spec?.containers ?? []) {
      const found = program.commands.find((one) => one.name() === command)
      const given = args.map((arg) => arg.split('=', 1)[0])
      const known = found?.options ?? []
      wrong.push(
        ...given.filter((flag) => !known.some(({ long }) => long === flag)).map((flag) => `${name}: ${flag}`),
        ...args
          .filter((arg) => known.some(({ long, required }) => long === arg && required))
          .map((arg) => `${name}: ${arg} without a value`),
        ...known
          .filter(({ long, mandatory }) => mandatory && !given.includes(long ?? ''))
          .map(({ long }) => `${name}: ${long} is missing`),
      )
      if (!found) wrong.push(`${name}: there is no command ${command}`)
    }
  }
  expect(wrong).toEqual([])
})

test.each(sets)('$name: everything that a pod refers to is there', ({ rendered, values }) => {
  const accounts = ofKind(rendered, 'ServiceAccount').map(({ metadata }) => metadata.name)
  const given = JSON.stringify(values)
  const isThere = (secret = '') => given.includes(`"${secret}"`)
  const wrong = podsOf(rendered).flatMap(([name, { spec }]) => {
    const volumes = spec?.volumes ?? []
    const mounts = (spec?.containers ?? []).flatMap(({ volumeMounts = [] }) => volumeMounts)
    return [
      ...(accounts.includes(spec?.serviceAccountName)
        ? []
        : [`${name}: account ${spec?.serviceAccountName}`]),
      ...volumes
        .filter(({ configMap }) => configMap && configMap.name !== TRUST_CONFIGMAP_NAME)
        .map((one) => `${name}: ${one.name}`),
      ...volumes
        .filter(({ secret }) => secret && !isThere(secret.secretName))
        .map((one) => `${name}: ${one.name}`),
      ...mounts
        .filter((mount) => !volumes.some((volume) => volume.name === mount.name))
        .map((one) => `${name}: mounts ${one.name}`),
      ...volumes
        .filter((volume) => !mounts.some((mount) => volume.name === mount.name))
        .map((one) => `${name}: does not mount ${one.name}`),
      ...probedPorts(spec).map((port) => `${name}: port ${port}`),
    ]
  })
  expect(wrong).toEqual([])
})

/** Ports that probes name and no container has. */
function probedPorts(spec: models.V1PodSpec | undefined): (string | number)[] {
  return (spec?.containers ?? []).flatMap((container) => {
    const probes = [container.startupProbe, container.livenessProbe, container.readinessProbe]
    return probes
      .flatMap((probe) => (probe ? [probe.httpGet?.port ?? probe.tcpSocket?.port ?? 'none'] : []))
      .filter((port) => !container.ports?.some(({ name }) => name === port))
  })
}

test.each(sets)(
  '$name: services, policies and budgets pick pods that have the ports they name',
  ({ rendered }) => {
    const pods = podsOf(rendered)
    const portsOf = (template: PodTemplate) =>
      (template.spec?.containers ?? []).flatMap(({ ports = [] }) => ports.map(({ name }) => name))
    const wrong: string[] = []
    const look = (what: string, selector: Record<string, string> | undefined, ports: unknown[]) => {
      const picked = pods.filter(([, template]) => matches(selector, template))
      if (picked.length !== 1) wrong.push(`${what} picks ${picked.length} kinds of pods`)
      for (const [name, template] of picked) {
        for (const port of ports)
          if (!portsOf(template).includes(String(port)))
            wrong.push(`${what}: ${name} has no port ${String(port)}`)
      }
    }
    for (const { object } of rendered) {
      const what = `${object.kind} ${object.metadata.name}`
      if (object.kind === 'Service') {
        const { spec } = object as models.V1Service
        look(
          what,
          spec?.selector,
          (spec?.ports ?? []).map(({ targetPort }) => targetPort),
        )
      }
      if (object.kind === 'NetworkPolicy') {
        const { spec } = object as models.V1NetworkPolicy
        const ports = (spec?.ingress ?? []).flatMap((rule) => (rule.ports ?? []).map(({ port }) => port))
        look(what, spec?.podSelector?.matchLabels, ports)
      }
      if (object.kind === 'PodDisruptionBudget') {
        look(what, (object as models.V1PodDisruptionBudget).spec?.selector?.matchLabels, [])
      }
    }
    expect(wrong).toEqual([])
  },
)

test.each(sets)('$name: who is called is a service that has the port', ({ rendered }) => {
  const services = ofKind(rendered, 'Service') as models.V1Service[]
  const hasPort = ({ name, port }: { name?: string; port?: number }) =>
    services.some(
      ({ metadata, spec }) =>
        metadata?.name === name && spec?.ports?.some((one) => one.port === (port ?? 443)),
    )
  const called = rendered.flatMap(({ object }) => {
    const { spec, webhooks = [] } = object as {
      spec?: { service?: { name: string; port: number } }
      webhooks?: { clientConfig: { service: { name: string; port: number } } }[]
    }
    return [
      ...(object.kind === 'APIService' && spec?.service ? [spec.service] : []),
      ...webhooks.map(({ clientConfig }) => clientConfig.service),
    ]
  })
  expect(called.length).toBeGreaterThan(20)
  expect(called.filter((service) => !hasPort(service))).toEqual([])
})

test.each(sets)(
  '$name: all pods but the workers fit the level "restricted" of Pod Security',
  ({ rendered }) => {
    const others = podsOf(rendered).filter(([name]) => name !== 'DaemonSet virt-handler')
    expect(others.length).toBe(4)
    for (const [, { spec }] of others) {
      expect(spec?.securityContext).toMatchObject({
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      })
      expect(spec?.containers.map(({ securityContext }) => securityContext)).toEqual([
        {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        },
      ])
      const sources = (spec?.volumes ?? []).flatMap(({ name: _name, ...source }) => Object.keys(source))
      expect(sources.filter((source) => !['secret', 'emptyDir'].includes(source))).toEqual([])
    }
  },
)

/** Without what the chart adds to each object. */
function withoutRelease(object: Manifest): unknown {
  const own = (name: string) => !/^(app\.kubernetes\.io|helm\.sh|team$)/.test(name)
  const labels = Object.entries(object.metadata.labels ?? {}).filter(([name]) => own(name))
  return JSON.parse(
    JSON.stringify({ ...object, metadata: { ...object.metadata, labels: Object.fromEntries(labels) } }),
  )
}

test.each<[string, Partial<InstallOptions>, Parameters<typeof chart.render>[0]]>([
  ['by default', {}, {}],
  ['in another namespace', { namespace: 'elsewhere' }, { namespace: 'elsewhere' }],
  ['without aggregation', { aggregateRoles: false }, { values: { rbac: { aggregate: false } } }],
  [
    'with an authority of its own',
    { caBundle: Buffer.from('-----BEGIN CERTIFICATE-----').toString('base64') },
    {
      values: {
        certificates: {
          mode: 'provided',
          provided: { secretName: 'kubevirt-virt-api-certs', caBundle: '-----BEGIN CERTIFICATE-----' },
        },
      },
    },
  ],
])('%s the cluster is told the same as by apiservice/', (_how, options, release) => {
  const generated = chart.render(release).filter(({ template }) => template.includes('/generated/'))
  const files = buildFiles({ ...DEFAULTS, ...options })
  // Kubelets keep the Node objects where there is a chart.
  files.delete(OWN_NODES)
  const expected = [...files.values()].flat()
  expect(new Set(generated.map(({ object }) => withoutRelease(object)))).toEqual(
    new Set(expected.map(withoutRelease)),
  )
})

test('with cert-manager, it writes the authorities of the certificate that the pods show', () => {
  const rendered = setNamed('cert-manager')
  const certificates = ofKind(rendered, 'Certificate').map(
    ({ metadata }) => `${metadata.namespace}/${metadata.name}`,
  )
  const registrations = rendered.filter(({ template }) => /(api-services|webhooks)\.yaml$/.test(template))
  expect(registrations.length).toBe(4)
  for (const { object } of registrations) {
    expect(certificates).toContain(object.metadata.annotations?.['cert-manager.io/inject-ca-from'])
  }
  // Where the API server looks for it; the controller makes none then.
  expect(ofKind(rendered, 'Certificate').at(-1)).toMatchObject({ spec: { secretName: TLS_SECRETS.serving } })
  const [controller] = podNamed(rendered, 'Deployment virt-controller').containers
  expect(controller?.args).toContain('--no-serving-certs')
})

test('without cert-manager nobody is asked for it', () => {
  expect(JSON.stringify(setNamed('default'))).not.toContain('cert-manager')
})

test.each([
  ['default', true],
  ['device-plugin', undefined],
  ['emulation', undefined],
])('%s: the worker is privileged: %s', (name, privileged) => {
  const spec = podNamed(setNamed(name), 'DaemonSet virt-handler')
  const [container] = spec.containers
  expect(container?.securityContext?.privileged).toBe(privileged)
  expect(spec.automountServiceAccountToken).toBe(false)
  if (privileged) return
  expect(container?.securityContext).toMatchObject({
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
  })
})

test('the only token of a worker is good for enrolling alone, at the Service of the controllers', () => {
  const spec = podNamed(setNamed('default'), 'DaemonSet virt-handler')
  const sources = (spec.volumes ?? []).flatMap(({ projected }) => projected?.sources ?? [])
  expect(sources).toEqual([
    { serviceAccountToken: { audience: ENROL_AUDIENCE, expirationSeconds: 3600, path: 'token' } },
  ])
  const service = ofKind(setNamed('default'), 'Service').find(
    ({ metadata }) => metadata.name === CONTROLLER_SERVICE_NAME,
  ) as models.V1Service
  const [port] = service.spec?.ports ?? []
  expect(spec.containers[0]?.args).toContain(
    `--controller=https://${CONTROLLER_SERVICE_NAME}.kubevirt.svc:${port?.port}`,
  )
})

/** Kinds of pods that a policy lets in at a port; `undefined` where it is anybody. */
function letIn(name: string, policy: string, port: string): (string | undefined)[] | undefined {
  const found = ofKind(setNamed(name), 'NetworkPolicy').find(({ metadata }) => metadata.name === policy)
  // The models call it `_from`.
  const { spec } = found as unknown as {
    spec: { ingress: { ports?: { port: string }[]; from?: models.V1NetworkPolicyPeer[] }[] }
  }
  const rule = spec.ingress.find(({ ports }) => ports?.some((one) => one.port === port))
  return rule?.from?.map(({ podSelector }) => podSelector?.matchLabels?.['kubevirt.io'])
}

// Who is on the network of a node cannot be told by the labels of its pod.
test.each([
  ['default', ['virt-handler'], ['virt-api', 'virt-controller']],
  ['managed-cluster', ['virt-handler'], undefined],
  ['bridges', undefined, ['virt-api', 'virt-controller']],
])('%s: enrolling is open to %j, workers to %j', (name, enrol, rpc) => {
  expect(letIn(name, 'virt-controller', 'enrol')).toEqual(enrol)
  expect(letIn(name, 'virt-handler', 'rpc')).toEqual(rpc)
})

test('the hook before an uninstallation may remove all that is registered', () => {
  const role = ofKind(setNamed('default'), 'ClusterRole').find(
    ({ metadata }) => metadata.name === 'virtgate-unregister',
  ) as models.V1ClusterRole
  const deletable = role.rules
    ?.filter(({ verbs }) => verbs.includes('delete'))
    .flatMap(({ resourceNames = [] }) => resourceNames)
  expect(deletable?.toSorted()).toEqual(Object.values(REGISTRATIONS).flat().toSorted())
})

test('a device plugin is asked for KVM beside the other limits', () => {
  const [container] = podNamed(setNamed('device-plugin'), 'DaemonSet virt-handler').containers
  expect(container?.resources).toEqual({
    limits: { memory: '64Gi', 'devices.kubevirt.io/kvm': 1 },
    requests: { cpu: '100m', memory: '128Mi' },
  })
})

test('one replica has no disruption budget: nobody could drain its node', () => {
  expect(ofKind(setNamed('emulation'), 'PodDisruptionBudget')).toEqual([])
  expect(ofKind(setNamed('default'), 'PodDisruptionBudget')).toHaveLength(2)
})

test('a rolling upgrade never takes an API server away before another one is ready', () => {
  const [deployment] = ofKind(setNamed('default'), 'Deployment').filter(
    ({ metadata }) => metadata.name === 'virt-api',
  )
  expect((deployment as models.V1Deployment).spec?.strategy?.rollingUpdate?.maxUnavailable).toBe(0)
})

test.each([
  [{ apiServer: { hostNetwork: true } }, '10250 is the kubelet'],
  [{ worker: { bridges: ['br0'] } }, 'worker.hostNetwork'],
  [{ certificates: { mode: 'provided' } }, 'certificates.provided'],
])('%j does not go together, and it is said why', (values, message) => {
  expect(() => chart.render({ values })).toThrow(message)
})

test.each([
  ['default', 'helm test virtgate --namespace kubevirt', 'emulated'],
  ['emulation', 'useEmulation', 'No workers'],
])('%s: what is said after an installation is about it', (name, said, unsaid) => {
  const { values } = sets.find((set) => set.name === name) ?? {}
  const notes = chart.notes(values && { values })
  expect(notes).toContain(said)
  expect(notes).not.toContain(unsaid)
})

/** The monitors of a set of values, by the component. */
function monitorsOf(rendered: readonly Rendered[]): [string, ServiceMonitor['spec']['endpoints'][number]][] {
  return ofKind(rendered, 'ServiceMonitor').map((object) => {
    const { spec } = object as unknown as ServiceMonitor
    const [endpoint, ...more] = spec.endpoints
    if (!endpoint || more.length > 0) throw new Error('a component has one endpoint')
    return [object.metadata.name ?? '', endpoint]
  })
}

const PROVIDED = {
  mode: 'provided',
  provided: { secretName: 'ours', caBundle: '-----BEGIN CERTIFICATE-----' },
}

test('nobody is asked for the Prometheus operator unless it is wanted', () => {
  expect(JSON.stringify(setNamed('default'))).not.toContain('monitoring.coreos.com')
})

test('each monitor picks the one Service of its component, at a port called metrics', () => {
  const rendered = setNamed('monitoring')
  const services = ofKind(rendered, 'Service') as models.V1Service[]
  const monitors = ofKind(rendered, 'ServiceMonitor')
  expect(monitors.map(({ metadata }) => metadata.name)).toEqual([
    'virt-api',
    'virt-controller',
    'virt-handler',
  ])
  for (const monitor of monitors) {
    const { selector, endpoints } = (monitor as unknown as ServiceMonitor).spec
    expect(selector.matchLabels['prometheus.kubevirt.io']).toBe('true')
    const picked = services.filter(({ metadata }) =>
      Object.entries(selector.matchLabels).every(([key, value]) => metadata?.labels?.[key] === value),
    )
    expect(picked.map(({ metadata }) => metadata?.name)).toEqual([`${monitor.metadata.name}-metrics`])
    expect(picked[0]?.spec?.ports?.map(({ name }) => name)).toEqual(endpoints.map(({ port }) => port))
    expect(monitor.metadata.labels).toMatchObject({ release: 'prometheus' })
  }
})

test('Prometheus verifies whom it reads from, by names that are in their certificates', () => {
  const monitors = new Map(monitorsOf(setNamed('monitoring')))
  const names = (component: string) => monitors.get(component)?.tlsConfig.serverName ?? ''
  expect(servingWish('kubevirt', []).dnsNames).toContain(names('virt-api'))
  expect(enrolmentWish('kubevirt').dnsNames).toContain(names('virt-controller'))
  expect(workerWish('n1').dnsNames).toContain(names('virt-handler'))
  const internal = { configMap: { name: TRUST_CONFIGMAP_NAME, key: 'ca.crt' } }
  expect([...monitors.values()].map(({ tlsConfig }) => tlsConfig.ca)).toEqual([
    { secret: { name: TLS_SECRETS.serving, key: 'ca.crt' } },
    internal,
    internal,
  ])
})

test('API server and controllers are shown a token, workers a certificate', () => {
  const shown = monitorsOf(setNamed('monitoring')).map(([name, { bearerTokenFile, tlsConfig }]) => [
    name,
    bearerTokenFile !== undefined,
    tlsConfig.cert?.secret.name,
    tlsConfig.keySecret?.name,
  ])
  expect(shown).toEqual([
    ['virt-api', true, undefined, undefined],
    ['virt-controller', true, undefined, undefined],
    ['virt-handler', false, TLS_SECRETS.monitor, TLS_SECRETS.monitor],
  ])
  const values = { metrics: { serviceMonitor: { enabled: true, tokenSecret: 'reader' } } }
  const [[, api] = []] = monitorsOf(chart.render({ values }))
  expect(api?.authorization?.credentials).toEqual({ name: 'reader', key: 'token' })
  expect(api).not.toHaveProperty('bearerTokenFile')
})

test('the authority of a certificate that others provide is there for Prometheus', () => {
  const values = { certificates: PROVIDED, metrics: { serviceMonitor: { enabled: true } } }
  const rendered = chart.render({ values })
  const [[, api] = []] = monitorsOf(rendered)
  const { name = '', key = '' } = api?.tlsConfig.ca['configMap'] ?? {}
  const [map] = ofKind(rendered, 'ConfigMap').filter(({ metadata }) => metadata.name === name)
  expect((map as models.V1ConfigMap).data?.[key]).toBe(PROVIDED.provided.caBundle)
})

test('who reads metrics gets the right to that path and to nothing else', () => {
  const rendered = setNamed('monitoring')
  const binding = ofKind(rendered, 'ClusterRoleBinding').find(
    ({ metadata }) => metadata.name === 'kubevirt.io:metrics',
  ) as models.V1ClusterRoleBinding
  expect(binding.subjects).toEqual([
    { kind: 'ServiceAccount', namespace: 'monitoring', name: 'prometheus-k8s' },
  ])
  const role = ofKind(rendered, 'ClusterRole').find(
    ({ metadata }) => metadata.name === binding.roleRef.name,
  ) as models.V1ClusterRole
  expect(role.rules).toEqual([{ verbs: ['get'], nonResourceURLs: ['/metrics'] }])
})

test('policies let Prometheus in where it reads, and nobody else where it is known', () => {
  const values = sets.find(({ name }) => name === 'monitoring')?.values ?? {}
  // As it stands in the file.
  const networkPolicy = values['networkPolicy'] as { monitoring: object[]; controlPlane: object[] }
  const peers = ofKind(setNamed('monitoring'), 'NetworkPolicy').map((object) => {
    const { spec } = object as unknown as {
      spec: { ingress: { ports?: { port: string }[]; from?: object[] }[] }
    }
    const port = object.metadata.name === 'virt-api' ? 'https' : 'metrics'
    const rules = spec.ingress.filter(({ ports }) => ports?.some((one) => one.port === port))
    return [object.metadata.name, rules.flatMap(({ from }): (object | string)[] => from ?? ['anybody'])]
  })
  expect(peers).toEqual([
    ['virt-api', [...networkPolicy.controlPlane, ...networkPolicy.monitoring]],
    ['virt-controller', networkPolicy.monitoring],
    ['virt-handler', networkPolicy.monitoring],
  ])
})

// Rules of KubeVirt find components by the names of their pods. Source: contract metrics.md, section 1.
test('pods have the names that the rules of KubeVirt look for', () => {
  const names = podsOf(setNamed('default')).map(([name]) => name)
  for (const name of ['Deployment virt-api', 'Deployment virt-controller', 'DaemonSet virt-handler']) {
    expect(names).toContain(name)
  }
})
