/** Calls to the Kubernetes API that holds the objects. Source: contract metrics.md, section 5. */
import type { CallWatcher } from '../kube/client.ts'
import type { Metrics } from './exposition.ts'

const NO_ANSWER = '<error>'

/** Counts the calls, and how long they took. */
export function watchCalls(metrics: Metrics): CallWatcher {
  const requests = metrics.counter('kubevirt_rest_client_requests_total')
  const latency = metrics.histogram('kubevirt_rest_client_request_latency_seconds')
  return {
    called({ host, method, path, isWatch, code, tookMs }) {
      const { url, resource, isNamed } = templateOf(path)
      const verb = verbOf(method, isWatch, isNamed)
      requests.add({ code: code === undefined ? NO_ANSWER : String(code), method, host, resource, verb })
      latency.observe({ verb, url }, tookMs / 1000)
    },
  }
}

/** Source: "Determine the request verb" in the Kubernetes documentation. */
function verbOf(method: string, isWatch: boolean, isNamed: boolean): string {
  if (isWatch) return 'watch'
  switch (method) {
    case 'GET':
      return isNamed ? 'get' : 'list'
    case 'POST':
      return 'create'
    case 'PUT':
      return 'update'
    default:
      return method.toLowerCase()
  }
}

/** A path without names of objects and namespaces, and what it is about. Source: "Resource URIs", Kubernetes API. */
export function templateOf(path: string): { url: string; resource: string; isNamed: boolean } {
  const found = /^(\/api\/v1|\/apis\/[^/]+\/[^/]+)(\/namespaces\/[^/]+)?\/([^/]+)(\/[^/]+)?(\/.+)?$/.exec(
    path,
  )
  if (!found) return { url: path.split('/', 3).join('/') || '/', resource: '', isNamed: true }
  const [, base = '', namespace, resource = '', name, subresource = ''] = found
  const url = `${base}${namespace ? '/namespaces/{namespace}' : ''}/${resource}${name ? '/{name}' : ''}${subresource}`
  return { url, resource, isNamed: name !== undefined }
}
