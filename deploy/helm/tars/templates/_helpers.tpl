{{- define "tars.name" -}}
{{- if contains "tars" .Release.Name -}}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{- else -}}{{ printf "%s-tars" .Release.Name | trunc 40 | trimSuffix "-" }}{{- end -}}
{{- end -}}

{{/* labels of a part: (dict "root" $ "part" "server") */}}
{{- define "tars.selector" -}}
app.kubernetes.io/name: tars
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
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

{{/* a value of a setting as text: a number of a file of values is a float, which must not become 1.2e+07 */}}
{{- define "tars.text" -}}
{{- if kindIs "string" . -}}{{ . }}{{- else -}}{{ toJson . }}{{- end -}}
{{- end -}}

{{/* env entry of a password: (dict "root" $ "part" .Values.redis "name" "REDIS_PASSWORD"); in our own Secret, which has those of
     several parts, the key is the entry's name */}}
{{- define "tars.password" -}}
{{- $auth := .part.auth -}}
{{- if or $auth.existingSecret $auth.password }}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ $auth.existingSecret | default (printf "%s-passwords" (include "tars.name" .root)) | quote }}, key: {{ empty $auth.existingSecret | ternary (.key | default .name) $auth.key | quote }}}}
{{- end }}
{{- end -}}

{{- define "tars.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* ports of the servers that settings name by an address (http://host:4317), a JSON list */}}
{{- define "tars.addressPorts" -}}
{{- $ports := list -}}
{{- range $name := list "OPENAI_BASE_URL" "RERANK_URL" "OTEL_EXPORTER_OTLP_ENDPOINT" "OIDC_ISSUER" "OLLAMA_HOST" "CHROMA_HOST" -}}
  {{- with index $.Values.config $name -}}
    {{- $address := toString . | contains "://" | ternary (toString .) (printf "http://%s" .) | urlParse -}}
    {{- $port := regexFind ":[0-9]+$" $address.host | trimPrefix ":" -}}
    {{- $ports = append $ports (int ($port | default (eq $address.scheme "https" | ternary "443" "80"))) -}}
  {{- end -}}
{{- end -}}
{{- if index .Values.config "VECTOR_HOST" -}}{{- $ports = append $ports (int (index .Values.config "VECTOR_PORT" | default 5432)) -}}{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}

{{- define "tars.claimSpec" -}}
accessModes: [ReadWriteOnce]
{{- with .storageClass }}
storageClassName: {{ . | quote }}
{{- end }}
resources: {requests: {storage: {{ .size }}}}
{{- end -}}

{{/* what the backup job runs: /data is the server's folder, /backup the claim */}}
{{- define "tars.backupCommand" -}}
[/usr/bin/tars, backup, /backup, --data, /data, --keep, {{ .Values.backup.keep | toString | quote }}{{ if .Values.backup.keySecret }}, --key-file, /etc/tars/backup/key{{ end }}]
{{- end -}}

{{/* what it runs where documents are in PostgreSQL: documents, and the log of questions where it is in the same database;
     vectors of pgvector are made again. Names of dumps sort by time */}}
{{- define "tars.dumpScript" -}}
new=/backup/tars-$(date -u +%Y%m%dT%H%M%SZ).dump
rm -f /backup/*.part
pg_dump --exclude-schema=tars_vectors --exclude-table-data=tars.instances -Fc -f "$new.part"
pg_restore -l "$new.part" > /tmp/contents
grep -q 'TABLE DATA tars documents' /tmp/contents
sync "$new.part"
mv "$new.part" "$new"
ls -1r /backup/tars-*.dump | tail -n "+$((KEEP + 1))" | while read -r old; do rm -- "$old"; done
{{- end -}}
