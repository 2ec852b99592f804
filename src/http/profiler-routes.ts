/** Profiling, for administrators, where the KubeVirt object switches it on. Source: contract 1.7, security K5. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Attributes } from '../auth/access.ts'
import type { KubeVirtConfiguration } from '../kinds/configuration.ts'
import { badRequest, StatusError } from '../lib/errors.ts'
import { isRecord } from '../lib/json.ts'
import { readBody } from './body.ts'
import { GROUP, VERSIONS } from './group.ts'
import type { Profiler } from './profiler.ts'

/** What the endpoints of the profiler need. */
export interface ProfilerParts {
  profiler: Profiler
  configuration: () => Promise<KubeVirtConfiguration>
  /** Under which name the results of this process stand among those of a cluster. */
  component: string
}

type Run = (profiler: Profiler, request: FastifyRequest, component: string) => Promise<object | void>

const STEPS: Record<string, Run> = {
  'start-profiler': (profiler) => profiler.start(),
  'stop-profiler': (profiler) => profiler.stop(),
  'dump-profiler': async (profiler) => dumpOf(profiler),
}
const CLUSTER_STEPS: Record<string, Run> = {
  'start-cluster-profiler': (profiler) => profiler.start(),
  'stop-cluster-profiler': (profiler) => profiler.stop(),
  'dump-cluster-profiler': dumpCluster,
}

/** Paths of the profiler. */
export const PROFILER_PATHS: readonly string[] = [
  ...Object.keys(STEPS).map((name) => `/${name}`),
  ...VERSIONS.flatMap((version) =>
    Object.keys(CLUSTER_STEPS).map((name) => `/apis/${GROUP}/${version}/${name}`),
  ),
]

/** Registers the profiler's endpoints; those "of the cluster" profile the process that answers. */
export function registerProfiler(app: FastifyInstance, parts: ProfilerParts): void {
  app.addHook('onClose', async () => parts.profiler.close())
  for (const [name, run] of Object.entries(STEPS)) {
    const path = `/${name}`
    add(app, path, { kind: 'path', verb: 'get', path }, run, parts)
  }
  for (const version of VERSIONS) {
    for (const [resource, run] of Object.entries(CLUSTER_STEPS)) {
      const attributes = { kind: 'resource', verb: 'get', group: GROUP, version, resource } as const
      add(app, `/apis/${GROUP}/${version}/${resource}`, attributes, run, parts)
    }
  }
}

function add(
  app: FastifyInstance,
  url: string,
  attributes: Attributes,
  run: Run,
  { profiler, configuration, component }: ProfilerParts,
): void {
  app.route({
    method: 'GET',
    url,
    exposeHeadRoute: false,
    config: { access: () => attributes },
    handler: async (request, reply): Promise<FastifyReply> => {
      requireSwitchedOn(await configuration())
      const answer = await run(profiler, request, component)
      return reply.header('cache-control', 'no-store').send(answer)
    },
  })
}

function requireSwitchedOn({ developerConfiguration }: KubeVirtConfiguration): void {
  if (isRecord(developerConfiguration) && developerConfiguration['clusterProfiler'] === true) return
  throw new StatusError(
    403,
    'Forbidden',
    'profiling is off: set spec.configuration.developerConfiguration.clusterProfiler of the KubeVirt object',
  )
}

function dumpOf(profiler: Profiler): object {
  const entries = Object.entries(profiler.dump()).map(([name, bytes]) => [name, bytes.toString('base64')])
  return { pprofData: Object.fromEntries(entries) }
}

/** The one component there is, whatever page is asked for. Throws 400 where the body is no JSON object. */
async function dumpCluster(profiler: Profiler, request: FastifyRequest, component: string): Promise<object> {
  const body = await readBody(request)
  try {
    if (!isRecord(JSON.parse(body.toString('utf8')))) throw new SyntaxError('no object')
  } catch {
    throw badRequest('the request body must be a JSON object, such as {"pageSize": 10}')
  }
  return { componentResults: { [component]: dumpOf(profiler) } }
}
