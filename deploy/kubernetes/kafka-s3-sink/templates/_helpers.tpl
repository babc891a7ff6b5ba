{{- define "sink.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" (.Release.Name | trunc 36 | trimSuffix "-") .Chart.Name -}}
{{- end -}}
{{- end -}}

{{- /* What the rules of deploy/prometheus ask of `job`, which the operator makes of this name. */ -}}
{{- define "sink.monitorName" -}}
{{- $name := include "sink.fullname" . -}}
{{- if contains "kafka-s3-sink" $name }}{{ $name }}{{ else }}{{ $name }}-kafka-s3-sink{{ end -}}
{{- end -}}

{{- define "sink.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "sink.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "sink.release" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- /* The pods of the StatefulSet, and not those of jobs. */ -}}
{{- define "sink.selector" -}}
{{ include "sink.release" . }}
app.kubernetes.io/component: sink
{{- end -}}

{{- define "sink.labels" -}}
{{ include "sink.release" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "sink.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- /* "true", or nothing. */ -}}
{{- define "sink.static" -}}
{{- if kindIs "invalid" .Values.membership.static -}}
{{- if not .Values.keda.enabled }}true{{ end -}}
{{- else if .Values.membership.static -}}
true
{{- end -}}
{{- end -}}

{{- /* A duration such as 1h30m in milliseconds. */ -}}
{{- define "sink.milliseconds" -}}
{{- $units := dict "d" 86400000 "h" 3600000 "m" 60000 "s" 1000 "ms" 1 -}}
{{- $total := 0.0 -}}
{{- range regexFindAll "[0-9.]+[a-z]+" . -1 -}}
{{- $unit := regexFind "[a-z]+" . -}}
{{- $total = addf $total (mulf (float64 (trimSuffix $unit .)) (get $units $unit)) -}}
{{- end -}}
{{- int64 (ceil $total) -}}
{{- end -}}

{{- /* A size of the sink's (64MiB) or of Kubernetes' (64Mi), or a number, in bytes. */ -}}
{{- define "sink.bytes" -}}
{{- $units := dict "" 1 "B" 1 "k" 1000 "kB" 1000 "M" 1000000 "MB" 1000000 "G" 1000000000 "GB" 1000000000 "T" 1000000000000 "TB" 1000000000000 "Ki" 1024 "KiB" 1024 "Mi" 1048576 "MiB" 1048576 "Gi" 1073741824 "GiB" 1073741824 "Ti" 1099511627776 "TiB" 1099511627776 -}}
{{- if kindIs "string" . -}}
{{- $unit := regexFind "[A-Za-z]*$" . -}}
{{- int64 (mulf (float64 (trimSuffix $unit . | replace "_" "")) (get $units $unit)) -}}
{{- else -}}
{{- int64 . -}}
{{- end -}}
{{- end -}}

{{- /* A value as TOML writes it. Helm's own toToml makes 1e+06 of a million. */ -}}
{{- define "sink.tomlValue" -}}
{{- if kindIs "string" . -}}
{{- toJson . -}}
{{- else if kindIs "slice" . -}}
{{- $items := list -}}
{{- range . }}{{ $items = append $items (include "sink.tomlValue" .) }}{{ end -}}
{{- printf "[%s]" (join ", " $items) -}}
{{- else if kindIs "bool" . -}}
{{- . -}}
{{- else if eq (float64 (int64 .)) (float64 .) -}}
{{- int64 . -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{- define "sink.tomlKey" -}}
{{- if regexMatch "^[A-Za-z0-9_-]+$" . }}{{ . }}{{ else }}{{ toJson . }}{{ end -}}
{{- end -}}

{{- /* A table of TOML: (dict "path" "kafka" "table" {...}). Plain values first, then tables in it. */ -}}
{{- define "sink.tomlTable" -}}
{{- $path := .path -}}
{{- $plain := dict -}}
{{- $tables := dict -}}
{{- range $key, $value := .table -}}
{{- if kindIs "map" $value }}{{ $_ := set $tables $key $value -}}
{{- else if not (kindIs "invalid" $value) }}{{ $_ := set $plain $key $value }}{{ end -}}
{{- end -}}
{{- if and $path $plain }}{{ printf "\n[%s]\n" $path }}{{ end -}}
{{- range $key, $value := $plain -}}
{{- printf "%s = %s\n" (include "sink.tomlKey" $key) (include "sink.tomlValue" $value) -}}
{{- end -}}
{{- range $key, $table := $tables -}}
{{- $name := include "sink.tomlKey" $key -}}
{{- include "sink.tomlTable" (dict "path" (ternary $name (printf "%s.%s" $path $name) (empty $path)) "table" $table) -}}
{{- end -}}
{{- end -}}

{{- define "sink.spoolDir" -}}
{{- dig "memory" "spool_dir" "/var/spool/kafka-s3-sink" .Values.config -}}
{{- end -}}

{{- /* sink.toml: what the user says, and what the chart adds. */ -}}
{{- define "sink.toml" -}}
{{- $config := deepCopy .Values.config -}}
{{- $http := dict "listen" (printf "%s:%d" (ternary "[::]" .Values.http.address (eq .Values.http.address "::")) (int .Values.http.port)) -}}
{{- if .Values.http.tokenSecret.name -}}
{{- $_ := set $http "token_file" "/run/secrets/kafka-s3-sink/token" -}}
{{- end -}}
{{- $_ := set $config "http" $http -}}
{{- if .Values.spool.enabled -}}
{{- $_ := set $config "memory" (merge ($config.memory | default dict) (dict "spool_dir" (include "sink.spoolDir" .))) -}}
{{- end -}}
{{- $protocol := dig "kafka" "group_protocol" "classic" $config -}}
{{- if and (include "sink.static" .) (eq $protocol "classic") -}}
{{- $kafka := $config.kafka -}}
{{- $timeout := include "sink.milliseconds" .Values.membership.sessionTimeout | int64 -}}
{{- $_ := set $kafka "librdkafka" (merge (dict "session.timeout.ms" $timeout) ($kafka.librdkafka | default dict)) -}}
{{- end -}}
{{- include "sink.tomlTable" (dict "path" "" "table" $config) | trim -}}
{{- end -}}

{{- /* What every container of the binary has from Secrets. */ -}}
{{- define "sink.env" -}}
{{- range $property, $from := .Values.kafkaSecrets }}
- name: KAFKA_S3_SINK__KAFKA__LIBRDKAFKA__{{ $property | upper | replace "." "_" }}
  valueFrom:
    secretKeyRef: {{ dict "name" $from.name "key" $from.key | toJson }}
{{- end }}
{{- with .Values.storeCredentials }}
{{- if .name }}
- name: AWS_ACCESS_KEY_ID
  valueFrom:
    secretKeyRef: {{ dict "name" .name "key" .accessKeyIdKey | toJson }}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom:
    secretKeyRef: {{ dict "name" .name "key" .secretAccessKeyKey | toJson }}
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "sink.volumeMounts" -}}
- name: config
  mountPath: /etc/kafka-s3-sink
  readOnly: true
{{- if .Values.http.tokenSecret.name }}
- name: token
  mountPath: /run/secrets/kafka-s3-sink
  readOnly: true
{{- end }}
{{- range $index, $secret := .Values.secretFiles }}
- name: secret-{{ $index }}
  mountPath: {{ $secret.mountPath }}
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "sink.volumes" -}}
- name: config
  configMap:
    name: {{ include "sink.fullname" . }}
{{- with .Values.http.tokenSecret }}
{{- if .name }}
- name: token
  secret:
    secretName: {{ .name }}
    defaultMode: 0440
    items:
      - key: {{ .key }}
        path: token
{{- end }}
{{- end }}
{{- range $index, $secret := .Values.secretFiles }}
- name: secret-{{ $index }}
  secret:
    secretName: {{ $secret.name }}
    defaultMode: 0440
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* What pods of the StatefulSet and of jobs have in common. */ -}}
{{- define "sink.pod" -}}
serviceAccountName: {{ include "sink.serviceAccountName" . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  {{- include "sink.volumes" . | nindent 2 }}
{{- end -}}

{{- define "sink.container" -}}
image: {{ include "sink.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
{{- with .Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  {{- include "sink.volumeMounts" . | nindent 2 }}
{{- end -}}

{{- /* Memory's request is its limit: a sink that is promised less than it may take is the first to be
evicted. */ -}}
{{- define "sink.resources" -}}
{{- $requests := merge (dict "memory" .limits.memory) (.requests | default dict) -}}
{{- toYaml (set (deepCopy .) "requests" $requests) -}}
{{- end -}}

{{- /* The seconds between SIGTERM and SIGKILL. */ -}}
{{- define "sink.shutdownSeconds" -}}
{{- divf (include "sink.milliseconds" (dig "shutdown" "timeout" "25s" .Values.config)) 1000 | ceil | int64 -}}
{{- end -}}
{{- define "sink.graceSeconds" -}}
{{- if kindIs "invalid" .Values.terminationGracePeriodSeconds -}}
{{- add (include "sink.shutdownSeconds" .) 15 -}}
{{- else -}}
{{- int64 .Values.terminationGracePeriodSeconds -}}
{{- end -}}
{{- end -}}
