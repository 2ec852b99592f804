/** What the subresource group answers besides subresources; open to everybody. Source: contract 1.3, 1.6. */
import type { FastifyInstance } from 'fastify'
import { internalError, serviceUnavailable } from '../lib/errors.ts'
import { isRecord } from '../lib/json.ts'
import type { Log } from '../lib/log.ts'
import type { KubeVirt } from '../kinds/kubevirt.ts'
import { KUBEVIRTS } from '../kinds/table.ts'
import type { ObjectReader } from '../store/store.ts'
import { buildSubresourceDiscovery } from './discovery.ts'
import { buildDocument, sendDocument } from './document.ts'
import { GROUP, VERSIONS } from './group.ts'
import { registerProfiler, type ProfilerParts } from './profiler-routes.ts'
import type { Subresource } from '../subresources/subresource.ts'

/** `version.Info` of Kubernetes. */
export interface VersionInfo {
  /** `v` and a semantic version, which clients compare with their own: virtctl warns where they differ. */
  gitVersion: string
  gitCommit: string
  gitTreeState: string
  buildDate: string
  goVersion: string
  compiler: string
  platform: string
}

/** What the endpoints of the group need. */
export interface GroupParts {
  store: Pick<ObjectReader, 'list'>
  version: VersionInfo
  /** Answers the `/version` of the API server that holds the objects. Throws where that cannot be reached. */
  apiServerVersion: () => Promise<object>
  log: Log
  /** Absent: there is nothing to profile with. */
  profiling?: ProfilerParts
}

/** Source: semver.org, the grammar; as strict as virtctl is. */
const GIT_VERSION = /^v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/

const open = { config: { access: 'open' as const } }

/** Registers `version`, `healthz` and `guestfs` of both versions, and the profiler. Throws where `gitVersion` is no version. */
export function registerGroupEndpoints(app: FastifyInstance, parts: GroupParts): void {
  const { version, store, log } = parts
  if (!GIT_VERSION.test(version.gitVersion)) {
    throw new RangeError(`"${version.gitVersion}" is no "v" and semantic version; virtctl could not read it`)
  }
  if (parts.profiling) registerProfiler(app, parts.profiling)
  for (const name of VERSIONS) {
    const base = `/apis/${GROUP}/${name}`
    app.get(`${base}/version`, open, async () => version)
    app.get(`${base}/guestfs`, open, async (_request, reply) => {
      const answer = describeGuestfs((await store.list(KUBEVIRTS)).items)
      return reply.code('guestfs' in answer ? 500 : 200).send(answer)
    })
    app.get(`${base}/healthz`, open, async (_request, reply) => {
      const { code, body } = await checkHealth(parts, log)
      return reply.code(code).send(body)
    })
  }
}

/** Registers discovery of the group and of its versions. */
export function registerGroupDiscovery(app: FastifyInstance, subresources: readonly Subresource[]): void {
  const { group, resourceLists } = buildSubresourceDiscovery(subresources)
  const documents = {
    '': group,
    ...Object.fromEntries(VERSIONS.map((name) => [`/${name}`, resourceLists[name]])),
  }
  for (const [path, content] of Object.entries(documents)) {
    const document = buildDocument(content)
    app.get(`/apis/${GROUP}${path}`, open, async (request, reply) => sendDocument(request, reply, document))
  }
}

/** Where `virtctl guestfs` finds its image. Throws 503 before KubeVirt is deployed (contract 1.6, F22). */
export function describeGuestfs(kubevirts: KubeVirt[]): object {
  const status = kubevirts.find(({ status }) => status?.phase)?.status
  if (!status) throw serviceUnavailable('no KubeVirt object says yet what is deployed')
  const config = parseConfig(status.observedDeploymentConfig)
  if (!config) return { guestfs: { status: 'failed', error: 'status.observedDeploymentConfig is not JSON' } }
  const { imagePrefix = '', GsImage: gsImage = '' } = config
  const { observedKubeVirtRegistry: registry = '', observedKubeVirtVersion: tag = '' } = status
  return { registry, tag, imagePrefix, gsImage }
}

function parseConfig(text: string | undefined): Record<string, unknown> | undefined {
  try {
    const config: unknown = JSON.parse(text ?? '')
    return isRecord(config) ? config : undefined
  } catch {
    // Empty before the first deployment, and anything in the hands of whoever edits the object.
    return undefined
  }
}

/** The health of the way to the objects, as KubeVirt words it (contract 1.3). */
export async function checkHealth(
  { apiServerVersion, store }: Pick<GroupParts, 'apiServerVersion' | 'store'>,
  log: Log,
): Promise<{ code: 200 | 500; body: object }> {
  try {
    const version = await apiServerVersion()
    const { items } = await store.list(KUBEVIRTS)
    const apiserver = { connectivity: 'ok', version }
    return {
      code: 200,
      body: { apiserver, 'config-resource-version': items[0]?.metadata.resourceVersion ?? '' },
    }
  } catch (error) {
    log.warn({ err: error }, 'the API server cannot be reached')
    const { message } = internalError('the API server cannot be reached')
    return { code: 500, body: { apiserver: { connectivity: 'failed', error: message } } }
  }
}
