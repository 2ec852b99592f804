/**
 * The same objects as templates of the Helm chart, so that what a cluster is told is listed once. Only what differs between
 * installations is left open; the names that fill it stand in `charts/virtgate/templates/_helpers.tpl`.
 */
import { buildFiles, formatYaml, OWN_NODES } from './files.ts'
import { DEFAULTS, type Manifest } from './manifest.ts'

const NAMESPACE = '{{ .Release.Namespace }}'
const CA_BUNDLE = 'CA-BUNDLE'

/** Name of the file below `charts/virtgate/templates/generated` → its text. */
export function buildChartTemplates(): Map<string, string> {
  const files = buildFiles({ ...DEFAULTS, namespace: NAMESPACE, caBundle: CA_BUNDLE })
  // The chart starts none that keep Node objects: kubelets do.
  files.delete(OWN_NODES)
  return new Map([...files].map(([name, manifests]) => [name, toTemplate(manifests)]))
}

function toTemplate(manifests: readonly Manifest[]): string {
  const text = formatYaml(manifests.map(withoutManager))
  if (text.replaceAll(NAMESPACE, '').includes('{{'))
    throw new Error('an object holds {{, which Helm would read')
  return text
    .replaceAll(/^ {2}labels:$/gm, '$&\n    {{- include "virtgate.labels" . | nindent 4 }}')
    .replaceAll(
      /^ {4}rbac\.authorization\.k8s\.io\/aggregate-to-.*$/gm,
      '    {{- if .Values.rbac.aggregate }}\n$&\n    {{- end }}',
    )
    .replaceAll(
      /^ {4}certificates\.kubevirt\.io\/secret:.*$/gm,
      '    {{- include "virtgate.caInjection" . | nindent 4 }}\n' +
        '    certificates.kubevirt.io/secret: {{ include "virtgate.servingSecret" . }}',
    )
    .replaceAll(
      new RegExp(`^( *)caBundle: ${CA_BUNDLE}$`, 'gm'),
      // Left out where somebody else fills it in: an upgrade then leaves it as it is.
      '$1{{- with include "virtgate.caBundle" $ }}\n$1caBundle: {{ . }}\n$1{{- end }}',
    )
}

/** Helm says itself that it manages what it has installed. */
function withoutManager(manifest: Manifest): Manifest {
  const { 'app.kubernetes.io/managed-by': _manager, ...labels } = manifest.metadata.labels ?? {}
  return { ...manifest, metadata: { ...manifest.metadata, labels } }
}
