{{/* several servers on one store */}}
{{- define "tars.many" -}}
{{- if or (gt (int .Values.server.replicas) 1) .Values.autoscaling.enabled (gt (int .Values.workers.replicas) 0) -}}yes{{- end -}}
{{- end -}}

{{/* with workers apart, servers leave taking in to them */}}
{{- define "tars.role" -}}
{{- if gt (int .root.Values.workers.replicas) 0 -}}
- {name: TARS_ROLE, value: {{ eq .part "worker" | ternary "ingest" "serve" }}}
{{- end }}
{{- end -}}

{{/* what runs in a pod of servers or workers: (dict "root" $ "part" "server" "single" true) */}}
{{- define "tars.pod" -}}
{{- $root := .root -}}
{{- $v := $root.Values -}}
{{- $name := include "tars.name" $root -}}
{{- $of := eq .part "worker" | ternary $v.workers $v.server -}}
{{- $labels := dict "root" $root "part" .part -}}
serviceAccountName: {{ $name }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ $v.server.terminationGracePeriodSeconds }}
securityContext: {{- include "tars.podSecurity" 10001 | nindent 2 }}
{{- include "tars.pullSecrets" $root }}
{{- with $v.server.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.server.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.server.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if not .single }}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "tars.selector" $labels | nindent 8 }}
  {{- end }}
{{- end }}
containers:
  - name: tars
    image: {{ include "tars.image" $root }}
    imagePullPolicy: {{ $v.image.pullPolicy }}
    args: [serve]
    securityContext: {{- include "tars.containerSecurity" $root | nindent 6 }}
    ports:
      - {name: http, containerPort: 8000}
      - {name: metrics, containerPort: 9464}
    envFrom:
      - configMapRef: {name: {{ $name }}-config}
      {{- if include "tars.hasSecrets" $root }}
      - secretRef: {name: {{ include "tars.secretName" $root | quote }}}
      {{- end }}
    {{- $passwords := print (ne $v.redis.mode "none" | ternary (include "tars.password" (dict "root" $root "part" $v.redis "name" "REDIS_PASSWORD")) "") (ne $v.postgresql.mode "none" | ternary (include "tars.password" (dict "root" $root "part" $v.postgresql "name" "POSTGRES_PASSWORD")) "") }}
    {{- $role := include "tars.role" . }}
    {{- if or $passwords $role }}
    env:
      {{- with $role }}{{ . | nindent 6 }}{{- end }}
      {{- with $passwords }}{{ . | trimPrefix "\n" | nindent 6 }}{{- end }}
    {{- end }}
    # Starts take as long as making the index does; until then nobody asks whether it lives.
    startupProbe:
      {{- include "tars.probe" (dict "root" $root "path" "/health") | nindent 6 }}
      periodSeconds: 5
      timeoutSeconds: 3
      failureThreshold: {{ div (add 4 (int $v.server.startSeconds)) 5 }}
    livenessProbe:
      {{- include "tars.probe" (dict "root" $root "path" "/health") | nindent 6 }}
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 6
    readinessProbe:
      {{- include "tars.probe" (dict "root" $root "path" "/ready") | nindent 6 }}
      periodSeconds: 5
      timeoutSeconds: 3
      failureThreshold: 2
    resources: {{- toYaml $of.resources | nindent 6 }}
    volumeMounts:
      - {name: data, mountPath: /data}
      - {name: tmp, mountPath: /tmp}
      {{- if $v.server.documents.existingClaim }}
      - {name: documents, mountPath: /documents, readOnly: true}
      {{- end }}
      {{- if $v.snapshots.existingClaim }}
      - {name: snapshots, mountPath: /snapshots}
      {{- end }}
      {{- range $part := list "redis" "postgresql" }}
      {{- if (index $v $part).caSecret }}
      - {name: {{ $part }}-ca, mountPath: /etc/tars/{{ $part }}, readOnly: true}
      {{- end }}
      {{- end }}
      {{- if $v.server.tls.secretName }}
      - {name: tls, mountPath: /etc/tars/tls, readOnly: true}
      {{- end }}
volumes:
  - {name: tmp, emptyDir: {sizeLimit: 1Gi}}
  {{- if not .single }}
  - {name: data, emptyDir: {sizeLimit: {{ $v.persistence.size }}}}
  {{- else if $v.persistence.existingClaim }}
  - {name: data, persistentVolumeClaim: {claimName: {{ $v.persistence.existingClaim | quote }}}}
  {{- end }}
  {{- if $v.server.documents.existingClaim }}
  - {name: documents, persistentVolumeClaim: {claimName: {{ $v.server.documents.existingClaim | quote }}, readOnly: true}}
  {{- end }}
  {{- if $v.snapshots.existingClaim }}
  - {name: snapshots, persistentVolumeClaim: {claimName: {{ $v.snapshots.existingClaim | quote }}}}
  {{- end }}
  {{- range $part := list "redis" "postgresql" }}
  {{- with (index $v $part).caSecret }}
  - {name: {{ $part }}-ca, secret: {secretName: {{ . | quote }}, defaultMode: 0440}}
  {{- end }}
  {{- end }}
  {{- if $v.server.tls.secretName }}
  - {name: tls, secret: {secretName: {{ $v.server.tls.secretName | quote }}, defaultMode: 0440}}
  {{- end }}
{{- end -}}
