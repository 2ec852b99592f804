import { X509Certificate } from 'node:crypto'
import type { Secret } from '../../../kinds/core.ts'
import { API_SERVICE_NAME, TLS_SECRETS } from '../../../kinds/installation.ts'
import { StatusError } from '../../../lib/errors.ts'
import { find, fine, list, skipped, warning, wrong, type Check, type Doctor, type Finding } from '../check.ts'

const DAY_MS = 24 * 60 * 60 * 1000
/** Somebody should have renewed it by then. */
const SOON_MS = 7 * DAY_MS
const SECRET = TLS_SECRETS.serving
const RENEW = 'see the log of the controller, which renews certificates, or whoever else makes yours'

/** Whether kube-apiserver believes the certificate of our API server, and for how long that lasts. */
export const certificates: Check = {
  name: 'certificates',
  isForEmbedded: false,
  async run(doctor) {
    const path = '/apis/apiregistration.k8s.io/v1/apiservices/v1.subresources.kubevirt.io'
    const found = await find<{ spec: { caBundle?: string } }>(doctor, path)
    const ca = Buffer.from(found?.spec.caBundle ?? '', 'base64').toString('utf8')
    if (ca === '') {
      return [
        wrong(
          'the APIService has no caBundle: kube-apiserver believes no certificate',
          'let the controller run, which fills it in, or name it by certificates.provided.caBundle',
        ),
      ]
    }
    const authorities = parseAll(ca)
    if (authorities.length === 0) return [wrong('the caBundle of the APIService holds no certificate', RENEW)]
    const served = (await lookAtPods(doctor, ca)) ?? (await lookAtSecret(doctor, authorities))
    return [lookAtAuthorities(authorities, doctor.now()), ...served]
  },
}

function parseAll(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  try {
    return blocks.map((block) => new X509Certificate(block))
  } catch {
    // The caller says what is wrong: none of it can be used.
    return []
  }
}

function lookAtAuthorities(authorities: readonly X509Certificate[], now: number): Finding {
  const last = Math.max(...authorities.map(({ validToDate }) => validToDate.getTime()))
  return judgeEnd('the authority in caBundle', last, now)
}

function judgeEnd(what: string, end: number, now: number): Finding {
  const day = new Date(end).toISOString().slice(0, 10)
  if (end <= now) return wrong(`${what} ended on ${day}`, RENEW)
  if (end - now < SOON_MS) return warning(`${what} ends on ${day}`, RENEW)
  return fine(`${what} lasts until ${day}`)
}

interface EndpointSlice {
  endpoints?: { addresses: string[]; conditions?: { ready?: boolean } }[]
  ports?: { name?: string; port?: number }[]
}

/** What each replica shows; `undefined` where none can be reached from here. */
async function lookAtPods(doctor: Doctor, ca: string): Promise<Finding[] | undefined> {
  const { namespace, signal } = doctor
  const path = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`
  const slices = await list<EndpointSlice>(
    doctor,
    `${path}?labelSelector=kubernetes.io%2Fservice-name%3D${API_SERVICE_NAME}`,
  )
  const places = slices.flatMap(({ endpoints = [], ports = [] }) => {
    const port = ports.find(({ name }) => name === 'https')?.port
    return port === undefined
      ? []
      : endpoints.flatMap(({ addresses }) => addresses.map((host) => ({ host, port })))
  })
  const shown = await Promise.all(
    places.map(async (place) => ({
      place,
      shown: await doctor.shownCertificate(place, `${API_SERVICE_NAME}.${namespace}.svc`, ca, signal),
    })),
  )
  const findings = shown.flatMap(({ place: { host, port }, shown: one }): Finding[] => {
    if ('unreachable' in one) return []
    const what = `the certificate shown at ${host}:${port}`
    if (one.problem !== undefined) {
      return [wrong(`${what} is not believed: ${one.problem}`, `caBundle and certificate differ; ${RENEW}`)]
    }
    return [judgeEnd(what, new X509Certificate(one.pem).validToDate.getTime(), doctor.now())]
  })
  return findings.length > 0 ? findings : undefined
}

/** What the replicas are to show, where they cannot be asked. */
async function lookAtSecret(doctor: Doctor, authorities: readonly X509Certificate[]): Promise<Finding[]> {
  const { namespace } = doctor
  const why = `the certificate of the API server cannot be seen: its pods do not answer from here, and`
  const secret = await readSecret(doctor)
  if (secret === 'forbidden') return [skipped(`${why} you may not read the Secret ${SECRET}`)]
  const [leaf] = parseAll(Buffer.from(secret.data?.['tls.crt'] ?? '', 'base64').toString('utf8'))
  if (!leaf) return [skipped(`${why} the Secret ${SECRET} has none`)]
  const what = `the certificate in the Secret ${SECRET}`
  const isSigned = authorities.some(
    (authority) => leaf.checkIssued(authority) && leaf.verify(authority.publicKey),
  )
  if (!isSigned) return [wrong(`${what} is of no authority in caBundle`, RENEW)]
  if (!leaf.checkHost(`${API_SERVICE_NAME}.${namespace}.svc`)) {
    return [wrong(`${what} is not for ${API_SERVICE_NAME}.${namespace}.svc`, 'have one made for that name')]
  }
  return [judgeEnd(what, leaf.validToDate.getTime(), doctor.now())]
}

async function readSecret(doctor: Doctor): Promise<Pick<Secret, 'data'> | 'forbidden'> {
  try {
    return (await find<Secret>(doctor, `/api/v1/namespaces/${doctor.namespace}/secrets/${SECRET}`)) ?? {}
  } catch (error) {
    if (error instanceof StatusError && error.code === 403) return 'forbidden'
    throw error
  }
}
