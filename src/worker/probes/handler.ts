import type { VmiSpec } from '../../kinds/kubevirt.ts'

/** A probe as the VMI has it. */
export type Probe = NonNullable<VmiSpec['livenessProbe']>

/** An HTTP request that a guest is to answer. */
export interface HttpGet {
  type: 'http'
  port: number
  scheme: 'http' | 'https'
  /** Goes into the URL and the header; it is always the guest that is dialled. */
  host: string
  /** With its query. */
  path: string
  /** In their order; a name may occur more than once. */
  headers: { name: string; value: string }[]
}

/** How a probe looks at a guest. */
export type Handler =
  | { type: 'ping' }
  | { type: 'exec'; command: readonly string[] }
  | { type: 'tcp'; port: number }
  | HttpGet

const PORT_LIMIT = 65_535

/** How the probe of a guest called `guestName` looks at it, or what keeps it from being run, for people. */
export function readHandler(probe: Probe, spec: VmiSpec, guestName: string): Handler | string {
  const { exec, guestAgentPing, httpGet, tcpSocket } = probe
  if (guestAgentPing) return { type: 'ping' }
  if (exec?.command?.length) return { type: 'exec', command: exec.command }
  if (tcpSocket) {
    // The node next to the guest dials, and must not be sent anywhere else (security C3).
    if (tcpSocket.host)
      return 'tcpSocket.host is not supported: only the guest itself is looked at, leave it out'
    const port = findPort(portOf(tcpSocket), spec)
    return typeof port === 'string' ? port : { type: 'tcp', port }
  }
  return httpGet ? readHttpGet(httpGet, spec, guestName) : 'it does not say how: add exec or guestAgentPing'
}

function readHttpGet(
  action: NonNullable<Probe['httpGet']>,
  spec: VmiSpec,
  guestName: string,
): HttpGet | string {
  const port = findPort(portOf(action), spec)
  if (typeof port === 'string') return port
  const { host = '', path = '', httpHeaders = [] } = action
  const scheme = action.scheme === 'HTTPS' ? 'https' : 'http'
  const handler: HttpGet = {
    type: 'http',
    port,
    scheme,
    host: host || guestName,
    path: path.startsWith('/') ? path : `/${path}`,
    headers: httpHeaders.map(({ name, value }) => ({ name, value })),
  }
  return URL.canParse(urlOf(handler)) ? handler : `"${host}" is no host`
}

/** Where its request goes. */
export function urlOf({ scheme, host, port, path }: HttpGet): string {
  return `${scheme}://${host}:${port}${path}`
}

/** A number, or the name of one of the guest's ports; the types of the package do not have it. */
function portOf(action: object): unknown {
  return 'port' in action ? action.port : undefined
}

function findPort(port: unknown, { domain }: VmiSpec): number | string {
  if (typeof port === 'number' || /^\d+$/.test(String(port))) {
    const number = Number(port)
    const isPort = Number.isInteger(number) && number >= 1 && number <= PORT_LIMIT
    return isPort ? number : `${number} is no port`
  }
  const named = (domain.devices.interfaces ?? []).flatMap(({ ports = [] }) => ports)
  const found = named.find(({ name, protocol }) => name === port && (protocol ?? 'TCP') === 'TCP')
  return found?.port ?? `no interface has a TCP port called "${String(port)}"`
}
