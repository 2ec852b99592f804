import { expect, test } from 'vitest'
import { CHECKS } from '../../../src/cli/doctor/index.ts'
import { KINDS } from '../../../src/kinds/table.ts'
import { StatusError } from '../../../src/lib/errors.ts'
import { doctorOf, examine, NOW, refused, type Answers } from '../../helpers/doctor.ts'

const ago = (seconds: number) => new Date(NOW - seconds * 1000).toISOString()

const TRUST = 'GET /api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication'
const API_SERVICES = 'GET /apis/apiregistration.k8s.io/v1/apiservices'
const WEBHOOKS = 'GET /apis/admissionregistration.k8s.io/v1'
const VMS = 'POST /apis/kubevirt.io/v1/namespaces/default/virtualmachines'
const LEASES = 'GET /apis/coordination.k8s.io/v1/namespaces/kubevirt/leases'
const KUBEVIRTS = 'GET /apis/kubevirt.io/v1/kubevirts'

/** Discovery of our kinds, but for those that are left out. */
function discovery(...without: string[]): Answers {
  const answers: Record<string, { resources: { name: string }[] }> = {}
  for (const { group, version, plural, builtIn } of KINDS) {
    if (builtIn) continue
    const found = (answers[`GET /apis/${group}/${version}`] ??= { resources: [] })
    if (!without.includes(plural)) found.resources.push({ name: plural })
  }
  return answers
}

function apiService(conditions: object[], namespace = 'kubevirt') {
  return { spec: { service: { name: 'virt-api', namespace } }, status: { conditions } }
}

function apiServices(one: object): Answers {
  return {
    [`${API_SERVICES}/v1.subresources.kubevirt.io`]: one,
    [`${API_SERVICES}/v1alpha3.subresources.kubevirt.io`]: one,
  }
}

/** An API that judges VMs as it should. */
function judge({ body }: { body?: { spec?: { running?: boolean } } }) {
  if (body?.spec?.running !== undefined) return new StatusError(422, 'Invalid', 'running and runStrategy')
  return { spec: { template: { spec: { domain: { machine: { type: 'q35' } } } } } }
}

const registered = (caBundle?: string) => ({
  webhooks: [{ name: 'a.kubevirt.io', clientConfig: { caBundle } }],
})
const WEBHOOKS_THERE: Answers = {
  [`${WEBHOOKS}/mutatingwebhookconfigurations/virt-api-mutator`]: registered('Q0E='),
  [`${WEBHOOKS}/validatingwebhookconfigurations/virt-api-validator`]: registered('Q0E='),
}

function lease(renewTime: string, holderIdentity = 'n1') {
  return {
    metadata: {
      name: `virtgate-worker-${holderIdentity}`,
      annotations: { 'virtgate.io/address': '10.0.0.1:8186' },
    },
    spec: { holderIdentity, renewTime, leaseDurationSeconds: 40 },
  }
}

function node(name: string, version: string, status = 'True') {
  return {
    metadata: {
      name,
      labels: { 'virtgate.io/worker': 'true' },
      annotations: { 'virtgate.io/version': version },
    },
    status: { conditions: [{ type: 'Ready', status, message: 'guests run with KVM' }] },
  }
}

const version = (minor: string) => ({ 'GET /version': { major: '1', minor, gitVersion: `v1.${minor}.0` } })

const API_SERVER = 'GET /apis/apps/v1/namespaces/kubevirt/deployments/virt-api'
const POLICIES = 'GET /apis/networking.k8s.io/v1/namespaces/kubevirt/networkpolicies'
const apiServerWith = (...args: string[]) => ({ spec: { template: { spec: { containers: [{ args }] } } } })
const policies = (...ingress: object[]) => ({
  items: [
    { spec: { podSelector: { matchLabels: { 'kubevirt.io': 'virt-api' } }, ingress } },
    { spec: { podSelector: { matchLabels: { 'kubevirt.io': 'virt-controller' } }, ingress: [{}] } },
  ],
})
const CONTROL_PLANE = { from: [{ ipBlock: { cidr: '10.0.0.0/28' } }] }

const GOOD: [check: string, Answers][] = [
  ['webhook-callers', { [API_SERVER]: apiServerWith('--webhook-client-ca=/ca.crt') }],
  [
    'webhook-callers',
    { [API_SERVER]: apiServerWith('--listen=0.0.0.0:1'), [POLICIES]: policies(CONTROL_PLANE) },
  ],
  ['kubernetes-version', version('34')],
  ['kubernetes-version', version('36+')],
  [
    'aggregation-layer',
    {
      [TRUST]: {
        data: {
          'requestheader-client-ca-file': 'PEM',
          'requestheader-allowed-names': '[]',
          'requestheader-username-headers': '["X-Remote-User"]',
        },
      },
    },
  ],
  ['kinds', discovery()],
  ['api-services', apiServices(apiService([{ type: 'Available', status: 'True' }]))],
  ['api-server', { 'GET /apis/subresources.kubevirt.io/v1/version': { gitVersion: 'v1.9.0' } }],
  ['webhooks', { ...WEBHOOKS_THERE, [VMS]: judge }],
  [
    'kubevirt',
    {
      [KUBEVIRTS]: {
        items: [{ metadata: { namespace: 'kubevirt', name: 'kubevirt' }, status: { phase: 'Deployed' } }],
      },
    },
  ],
  ['leader', { [`${LEASES}/virtgate-controller`]: lease(ago(2), 'virt-controller-1') }],
  [
    'workers',
    { [LEASES]: { items: [lease(ago(10))] }, 'GET /api/v1/nodes': { items: [node('n1', '0.1.0')] } },
  ],
]

test.each(GOOD)('%s finds nothing wrong where all is well', async (check, answers) => {
  const findings = await examine(check, doctorOf(answers))
  expect(findings.length).toBeGreaterThan(0)
  expect(findings.filter(({ verdict }) => verdict !== 'ok')).toEqual([])
})

const BAD: [check: string, how: string, answers: Answers, message: RegExp, advice: RegExp][] = [
  [
    'webhook-callers',
    'without a policy',
    { [API_SERVER]: apiServerWith(), [POLICIES]: { items: [] } },
    /keep room in quotas/,
    /networkPolicy\.controlPlane/,
  ],
  [
    'webhook-callers',
    'with a policy that lets everybody in',
    { [API_SERVER]: apiServerWith(), [POLICIES]: policies(CONTROL_PLANE, { ports: [{ port: 9443 }] }) },
    /keep room in quotas/,
    /apiServer\.webhookClientCa/,
  ],
  ['kubernetes-version', 'too old', version('33'), /v1\.33\.0/, /upgrade Kubernetes/],
  ['aggregation-layer', 'absent', {}, /all of it/, /--requestheader-client-ca-file/],
  [
    'aggregation-layer',
    'without a key',
    { [TRUST]: { data: {} } },
    /requestheader-client-ca-file/,
    /aggregation layer/,
  ],
  [
    'kinds',
    'without one',
    discovery('virtualmachines'),
    /^VirtualMachine \(kubevirt\.io\/v1\)/,
    /--server-side/,
  ],
  ['api-services', 'absent', {}, /v1\.subresources\.kubevirt\.io does not exist/, /install the chart/],
  [
    'api-services',
    'of another installation',
    apiServices(apiService([], 'elsewhere')),
    /leads to the namespace elsewhere/,
    /--install-namespace/,
  ],
  [
    'api-services',
    'without a service',
    apiServices({ spec: {} }),
    /kube-apiserver itself/,
    /--install-namespace/,
  ],
  [
    'api-services',
    'without replicas',
    apiServices(
      apiService([
        { type: 'Available', status: 'False', reason: 'MissingEndpoints', message: 'no addresses' },
      ]),
    ),
    /MissingEndpoints: no addresses/,
    /describe pods/,
  ],
  [
    'api-services',
    'out of reach',
    apiServices(
      apiService([
        { type: 'Available', status: 'False', reason: 'FailedDiscoveryCheck', message: 'timeout' },
      ]),
    ),
    /FailedDiscoveryCheck: timeout/,
    /10250/,
  ],
  ['api-services', 'never looked at', apiServices(apiService([])), /nobody has looked yet/, /hostNetwork/],
  ['api-server', 'not registered', {}, /not served/, /register it/],
  ['webhooks', 'not registered', {}, /virt-api-mutator is not registered/, /install the chart/],
  [
    'webhooks',
    'without a caBundle',
    { ...WEBHOOKS_THERE, [`${WEBHOOKS}/validatingwebhookconfigurations/virt-api-validator`]: registered() },
    /a\.kubevirt\.io has no caBundle/,
    /controller/,
  ],
  [
    'webhooks',
    'out of reach',
    { ...WEBHOOKS_THERE, [VMS]: new StatusError(500, 'InternalError', 'failed calling webhook') },
    /failed calling webhook/,
    /apiServer\.webhookPort/,
  ],
  [
    'webhooks',
    'not asked to complete',
    { ...WEBHOOKS_THERE, [VMS]: { spec: { template: { spec: { domain: {} } } } } },
    /not completed/,
    /mutating/,
  ],
  ['webhooks', 'not asked to judge', { ...WEBHOOKS_THERE, [VMS]: judge({}) }, /is not refused/, /validating/],
  ['kubevirt', 'absent', { [KUBEVIRTS]: { items: [] } }, /no KubeVirt object/, /create one/],
  [
    'kubevirt',
    'there twice',
    { [KUBEVIRTS]: { items: ['a', 'b'].map((name) => ({ metadata: { namespace: 'kubevirt', name } })) } },
    /kubevirt\/a, kubevirt\/b/,
    /all but one/,
  ],
  [
    'kubevirt',
    'not looked at',
    { [KUBEVIRTS]: { items: [{ metadata: { namespace: 'kubevirt', name: 'kubevirt' } }] } },
    /not looked at yet/,
    /leads/,
  ],
  ['leader', 'absent', {}, /no controller leads/, /describe pods/],
  [
    'leader',
    'gone',
    { [`${LEASES}/virtgate-controller`]: lease(ago(90), 'virt-controller-1') },
    /90 s ago/,
    /describe pods/,
  ],
  ['workers', 'absent', {}, /no workers/, /virt-handler/],
  [
    'workers',
    'gone',
    { [LEASES]: { items: [lease(ago(60))] } },
    /worker of n1 \(10\.0\.0\.1:8186\) was last heard of 60 s ago/,
    /delete the Lease virtgate-worker-n1/,
  ],
  ['workers', 'never heard of', { [LEASES]: { items: [lease('')] } }, /n1/, /its pod/],
  [
    'workers',
    'of two versions',
    {
      [LEASES]: { items: [lease(ago(1)), lease(ago(1), 'n2')] },
      'GET /api/v1/nodes': { items: [node('n1', '0.1.0'), node('n2', '0.2.0')] },
    },
    /0\.1\.0 on n1; 0\.2\.0 on n2/,
    /move the guests away/,
  ],
]

test.each(BAD)('%s that is %s is said, and what to do', async (check, _how, answers, message, advice) => {
  const findings = await examine(check, doctorOf(answers))
  const bad = findings.filter(({ verdict }) => verdict === 'error' || verdict === 'warning')
  expect(bad[0]?.message).toMatch(message)
  expect(bad[0]?.advice).toMatch(advice)
})

test('every check has a case that is well and one that is not', () => {
  // These have files of their own.
  const own = ['certificates', 'rights']
  for (const { name } of CHECKS.filter((one) => !own.includes(one.name))) {
    expect(GOOD.map(([check]) => check)).toContain(name)
    expect(BAD.map(([check]) => check)).toContain(name)
  }
})

test.each(CHECKS.filter(({ name }) => name !== 'rights'))(
  '$name is skipped where one may not look',
  async ({ name }) => {
    const doctor = doctorOf({}, { client: { call: () => Promise.reject(refused()) } })
    const findings = await examine(name, doctor)
    expect(findings).toEqual([
      {
        verdict: 'skipped',
        message: 'you may not look: configmaps is forbidden',
        advice: 'ask somebody who administers the cluster to run this',
      },
    ])
  },
)

test('VMs are tried as a dry run', async () => {
  const doctor = doctorOf({ ...WEBHOOKS_THERE, [VMS]: judge })
  await examine('webhooks', doctor)
  const posts = doctor.asked.filter(({ method }) => method === 'POST')
  expect(posts.map(({ query }) => query)).toEqual([{ dryRun: 'All' }, { dryRun: 'All' }])
})

test('with virtgate up, nobody is asked for what it does not have', async () => {
  const doctor = doctorOf(
    { [VMS]: judge, 'GET /api/v1/nodes': { items: [node('n1', '0.1.0'), node('n2', '0.1.0', 'Unknown')] } },
    { isEmbedded: true },
  )
  expect((await examine('webhooks', doctor)).map(({ verdict }) => verdict)).toEqual(['ok', 'ok'])
  expect((await examine('workers', doctor)).map(({ verdict }) => verdict)).toEqual(['ok', 'error'])
  for (const name of ['api-services', 'certificates', 'leader', 'rights', 'aggregation-layer'])
    expect(await examine(name, doctor)).toEqual([])
})
