{{/*
What the program of this version can do; everything else is refused here, in words, unless preview is set.
*/}}
{{- define "tars.supports" -}}
{{- list "store:embedded" "store:postgres" "vectors:embedded" "vectors:pgvector" "vectors:chroma" "replicas" "backup" | toJson -}}
{{- end -}}

{{- define "tars.refuse" -}}
{{- $can := include "tars.supports" . | fromJsonArray -}}
{{- $many := eq (include "tars.many" .) "yes" -}}
{{- if and $many (eq .Values.store.backend "embedded") -}}
  {{- fail "server.replicas, autoscaling, workers: the embedded store belongs to one server; more than one need store.backend: postgres" -}}
{{- end -}}
{{- if not .Values.preview -}}
  {{- if not (has (printf "store:%s" .Values.store.backend) $can) -}}
    {{- fail (printf "store.backend: tars %s keeps documents in its own store (embedded) alone, not in %s" .Chart.AppVersion .Values.store.backend) -}}
  {{- end -}}
  {{- if not (has (printf "vectors:%s" .Values.vectors.backend) $can) -}}
    {{- fail (printf "vectors.backend: tars %s searches vectors by itself (embedded), not in %s" .Chart.AppVersion .Values.vectors.backend) -}}
  {{- end -}}
  {{- if and $many (not (has "replicas" $can)) -}}
    {{- fail (printf "server.replicas, autoscaling: of tars %s one server has the store at a time" .Chart.AppVersion) -}}
  {{- end -}}
  {{- if and .Values.backup.enabled (not (has "backup" $can)) -}}
    {{- fail (printf "backup.enabled: tars %s has no backup command" .Chart.AppVersion) -}}
  {{- end -}}
{{- end -}}
{{- if and .Values.snapshots.existingClaim (not $many) -}}
  {{- fail "snapshots.existingClaim: one server has nobody to share its index with" -}}
{{- end -}}
{{- if and .Values.backup.keySecret (eq .Values.store.backend "postgres") -}}
  {{- fail "backup.keySecret: tars backup seals the embedded store; dumps of PostgreSQL are not sealed, keep them on a volume that is" -}}
{{- end -}}
{{- if and .Values.persistence.existingClaim $many -}}
  {{- fail "persistence.existingClaim: several servers have a folder each, which is made again from the store; leave it empty" -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (lt (int .Values.autoscaling.maxReplicas) (int .Values.autoscaling.minReplicas)) -}}
  {{- fail "autoscaling.maxReplicas must not be less than autoscaling.minReplicas" -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (le (int .Values.autoscaling.minReplicas) (int .Values.podDisruptionBudget.minAvailable)) -}}
  {{- fail "autoscaling.minReplicas must be more than podDisruptionBudget.minAvailable, or no node can be drained" -}}
{{- end -}}
{{- if and (gt (int .Values.server.replicas) 1) (le (int .Values.server.replicas) (int .Values.podDisruptionBudget.minAvailable)) -}}
  {{- fail "server.replicas must be more than podDisruptionBudget.minAvailable, or no node can be drained" -}}
{{- end -}}
{{- if and (eq .Values.store.backend "postgres") (eq .Values.postgresql.mode "none") -}}
  {{- fail "store.backend postgres needs postgresql.mode bundled or external" -}}
{{- end -}}
{{- if and (eq .Values.vectors.backend "chroma") (eq .Values.chromadb.mode "none") -}}
  {{- fail "vectors.backend chroma needs chromadb.mode bundled or external" -}}
{{- end -}}
{{- if and (eq .Values.vectors.backend "pgvector") (eq .Values.postgresql.mode "none") -}}
  {{- fail "vectors.backend pgvector needs postgresql.mode bundled or external, with the extension pgvector" -}}
{{- end -}}
{{- if and (ne .Values.chromadb.mode "none") (ne .Values.vectors.backend "chroma") -}}
  {{- fail "chromadb.mode: nothing would use it; set vectors.backend: chroma" -}}
{{- end -}}
{{- if and (eq .Values.vectors.backend "pgvector") (eq .Values.postgresql.mode "bundled") (regexMatch "^(.*/)?postgres:" .Values.postgresql.image) -}}
  {{- fail "vectors.backend pgvector: postgresql.image has not the extension; take pgvector/pgvector:0.8.0-pg16" -}}
{{- end -}}
{{- if and .Values.backup.enabled (eq .Values.store.backend "postgres") (hasPrefix "verify-" .Values.postgresql.sslmode) (not .Values.postgresql.caSecret) -}}
  {{- fail "backup.enabled: pg_dump by postgresql.image knows no authorities; verify-ca and verify-full need postgresql.caSecret" -}}
{{- end -}}
{{- range $part := list "redis" "postgresql" -}}
  {{- if and (index $.Values $part).caSecret (ne (index $.Values $part).mode "external") -}}
    {{- fail (printf "%s.caSecret: only an external server has a certificate" $part) -}}
  {{- end -}}
{{- end -}}
{{- if and (eq .Values.redis.mode "bundled") .Values.redis.tls -}}
  {{- fail "redis.tls: the bundled Redis has no certificate" -}}
{{- end -}}
{{- if and (eq .Values.postgresql.mode "bundled") (not (has .Values.postgresql.sslmode (list "disable" "allow" "prefer"))) -}}
  {{- fail (printf "postgresql.sslmode %s: the bundled PostgreSQL has no certificate" .Values.postgresql.sslmode) -}}
{{- end -}}
{{- range $name := list "TARS_DATA" "TARS_BIND" "BACKEND_PORT" "PROMETHEUS_PORT" -}}
  {{- if hasKey $.Values.config $name -}}
    {{- fail (printf "config.%s: volumes, ports and probes of the chart go by its own" $name) -}}
  {{- end -}}
{{- end -}}
{{- range $name := list "JWT_SECRET_KEY" "OIDC_CLIENT_SECRET" "OPENAI_API_KEY" "CHROMA_AUTH_TOKEN" "RERANK_API_KEY" "REDIS_PASSWORD" "REDIS_SENTINEL_PASSWORD" "VECTOR_PASSWORD" "POSTGRES_PASSWORD" "METRICS_TOKEN" "OTEL_EXPORTER_OTLP_HEADERS" -}}
  {{- if hasKey $.Values.config $name -}}
    {{- fail (printf "config.%s: a ConfigMap is no place for a secret; put it into secrets" $name) -}}
  {{- end -}}
{{- end -}}
{{- with index .Values.config "DRAIN_SECONDS" -}}
  {{- if ge (add 4 (int .)) (int $.Values.server.terminationGracePeriodSeconds) -}}
    {{- fail "config.DRAIN_SECONDS: server.terminationGracePeriodSeconds must be more than five seconds above it" -}}
  {{- end -}}
{{- end -}}
{{- range list "redis" "postgresql" "chromadb" "ollama" -}}
  {{- $part := index $.Values . -}}
  {{- if and (eq $part.mode "external") (not $part.host) -}}
    {{- fail (printf "%s.mode external needs %s.host" . .) -}}
  {{- end -}}
{{- end -}}
{{- if and (ne .Values.postgresql.mode "none") (not .Values.postgresql.auth.existingSecret) (not .Values.postgresql.auth.password) -}}
  {{- fail "postgresql.auth: give existingSecret, or a password" -}}
{{- end -}}
{{- if and .Values.secrets.existing .Values.secrets.values -}}
  {{- fail "secrets: existing or values, not both" -}}
{{- end -}}
{{- if and (eq (toString (index .Values.config "TARS_AUTH" | default "")) "open") (ne (toString (index .Values.config "TARS_AUTH_OPEN_ANYWHERE" | default "")) "true") -}}
  {{- fail "config.TARS_AUTH open lets anybody who reaches the port read and write: the server refuses it without TARS_AUTH_OPEN_ANYWHERE" -}}
{{- end -}}
{{- end -}}
