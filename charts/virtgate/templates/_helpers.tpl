{{/* Labels of every object. */}}
{{- define "virtgate.labels" -}}
app.kubernetes.io/name: virtgate
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: virtgate
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The image of a component: a dict with root, repository and digest. */}}
{{- define "virtgate.image" -}}
{{- $image := .root.Values.image -}}
{{- $tag := $image.tag | default .root.Chart.AppVersion -}}
{{- with $image.registry }}{{ . }}/{{ end }}{{ .repository }}
{{- if .digest }}@{{ .digest }}{{ else }}:{{ $tag }}{{ end }}
{{- end }}

{{/* What every pod says about where it runs: a dict with root and component (its values). */}}
{{- define "virtgate.scheduling" -}}
{{- with .component.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . | quote }}
{{- end }}
{{- end }}
{{- with .component.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .component.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Replicas on different nodes where there are enough: a dict with component and name. */}}
{{- define "virtgate.spread" -}}
affinity:
{{- if .component.affinity }}
  {{- toYaml .component.affinity | nindent 2 }}
{{- else }}
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              kubevirt.io: {{ .name }}
{{- end }}
{{- end }}

{{/* Pods that need nothing from the node: they fit the level "restricted" of Pod Security. */}}
{{- define "virtgate.podSecurity" -}}
runAsNonRoot: true
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "virtgate.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop:
    - ALL
{{- end }}

{{/* Base64 of the authorities that kube-apiserver is to believe, where the chart knows them. */}}
{{- define "virtgate.caBundle" -}}
{{- if eq .Values.certificates.mode "provided" -}}
{{- required "certificates.provided.caBundle: the PEM of the authority of the certificate is needed" .Values.certificates.provided.caBundle | b64enc -}}
{{- end -}}
{{- end }}

{{/* Asks cert-manager to write the authorities into an object. */}}
{{- define "virtgate.caInjection" -}}
{{- if eq .Values.certificates.mode "cert-manager" -}}
cert-manager.io/inject-ca-from: {{ printf "%s/virt-api" .Release.Namespace }}
{{- end -}}
{{- end }}

{{/* The Secret with the certificate of the API server and the webhooks. */}}
{{- define "virtgate.servingSecret" -}}
{{- if eq .Values.certificates.mode "provided" -}}
{{- required "certificates.provided.secretName: the Secret with the certificate is needed" .Values.certificates.provided.secretName -}}
{{- else -}}
kubevirt-virt-api-certs
{{- end -}}
{{- end }}
