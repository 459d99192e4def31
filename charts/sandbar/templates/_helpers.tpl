{{/* Labels of every object. */}}
{{- define "sandbar.labels" -}}
app.kubernetes.io/part-of: sandbar
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* What a Deployment selects by: never changes, and says nothing of versions, so that an upgrade of the chart alone
restarts nothing. */}}
{{- define "sandbar.operator.selector" -}}
app.kubernetes.io/name: {{ .Values.name }}
{{- end }}
{{- define "sandbar.gateway.selector" -}}
app.kubernetes.io/name: {{ .Values.name }}-gateway
{{- end }}

{{- define "sandbar.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag }}{{ end -}}
{{- end -}}
{{- end }}

{{- define "sandbar.gateway.namespace" -}}
{{- .Values.gateway.namespace | default .Values.watchNamespace | default "default" -}}
{{- end }}

{{/* At least two where high availability is wanted. */}}
{{- define "sandbar.replicas" -}}
{{- max (int .replicas) (ternary 2 1 .highAvailability) -}}
{{- end }}

{{- define "sandbar.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "sandbar.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Where Pods go; rather side by side than not at all. Takes part, selector, highAvailability. */}}
{{- define "sandbar.placement" -}}
{{- with .part.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .part.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .part.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if .highAvailability }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- $.selector | nindent 8 }}
  {{- end }}
{{- end }}
{{- end }}
