{{- define "tars.name" -}}
{{- if contains "tars" .Release.Name -}}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{- else -}}{{ printf "%s-tars" .Release.Name | trunc 40 | trimSuffix "-" }}{{- end -}}
{{- end -}}

{{/* labels of a part: (dict "root" $ "part" "server") */}}
{{- define "tars.selector" -}}
app.kubernetes.io/name: tars
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end -}}
{{- define "tars.labels" -}}
{{ include "tars.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{/* restricted Pod Security; user is that of the image */}}
{{- define "tars.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}
{{- define "tars.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "tars.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "tars.host" -}}
{{- $part := index .root.Values .name -}}
{{- if eq $part.mode "bundled" -}}{{ include "tars.name" .root }}-{{ .name }}{{- else -}}{{ $part.host }}{{- end -}}
{{- end -}}

{{- define "tars.scheme" -}}
{{- if .Values.server.tls.secretName -}}HTTPS{{- else -}}HTTP{{- end -}}
{{- end -}}

{{/* a probe of the server; as localhost, so that ENABLE_HTTPS does not send it on */}}
{{- define "tars.probe" -}}
httpGet:
  path: {{ .path }}
  port: http
  scheme: {{ include "tars.scheme" .root }}
  httpHeaders: [{name: Host, value: localhost}]
{{- end -}}

{{- define "tars.secretName" -}}
{{- .Values.secrets.existing | default (printf "%s-secrets" (include "tars.name" .)) -}}
{{- end -}}
{{- define "tars.hasSecrets" -}}
{{- if or .Values.secrets.existing .Values.secrets.values -}}yes{{- end -}}
{{- end -}}

{{/* env entry of a password: (dict "root" $ "part" .Values.redis "name" "REDIS_PASSWORD") */}}
{{- define "tars.password" -}}
{{- if or .part.auth.existingSecret .part.auth.password }}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ .part.auth.existingSecret | default (printf "%s-passwords" (include "tars.name" .root)) }}, key: {{ .part.auth.key }}}}
{{- end }}
{{- end -}}

{{- define "tars.claimSpec" -}}
accessModes: [ReadWriteOnce]
{{- with .storageClass }}
storageClassName: {{ . }}
{{- end }}
resources: {requests: {storage: {{ .size }}}}
{{- end -}}

{{/* what the backup job runs: /data is the server's folder, /backup the claim */}}
{{- define "tars.backupCommand" -}}
[/usr/bin/tars, backup, /backup, --data, /data, --keep, {{ .Values.backup.keep | toString | quote }}{{ if .Values.backup.keySecret }}, --key-file, /etc/tars/backup/key{{ end }}]
{{- end -}}
