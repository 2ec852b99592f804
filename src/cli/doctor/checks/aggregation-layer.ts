import type { ConfigMap } from '../../../kinds/core.ts'
import { find, fine, wrong, type Check } from '../check.ts'

const PATH = '/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication'
/** Without these nobody knows on whose behalf kube-apiserver forwards a request. Source: security.md, A4. */
const KEYS = ['requestheader-client-ca-file', 'requestheader-allowed-names', 'requestheader-username-headers']

/** Whether kube-apiserver says on whose behalf it forwards requests, so that our API server can believe it. */
export const aggregationLayer: Check = {
  name: 'aggregation-layer',
  isForEmbedded: false,
  async run(doctor) {
    const map = await find<ConfigMap>(doctor, PATH)
    const missing = map ? KEYS.filter((key) => !map.data?.[key]) : ['all of it']
    if (missing.length === 0) return [fine('kube-apiserver says on whose behalf it forwards requests')]
    return [
      wrong(
        `ConfigMap kube-system/extension-apiserver-authentication lacks ${missing.join(', ')}`,
        'configure the aggregation layer: start kube-apiserver with --requestheader-client-ca-file, ' +
          '--requestheader-allowed-names, --requestheader-username-headers, --proxy-client-cert-file and its key',
      ),
    ]
  },
}
