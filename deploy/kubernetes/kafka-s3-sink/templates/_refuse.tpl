{{- /* What contradicts itself or would not run is refused here, all of it at once. Misspelt names and
wrong types are refused by values.schema.json before. */ -}}
{{- define "sink.refuse" -}}
{{- $wrong := splitList "\n" (include "sink.wrong" . | trim) | compact -}}
{{- if $wrong -}}
{{- fail (printf "\n\n- %s\n" (join "\n- " $wrong)) -}}
{{- end -}}
{{- end -}}

{{- define "sink.wrong" -}}
{{ include "sink.wrongConfig" . }}
{{ include "sink.wrongSecrets" . }}
{{ include "sink.wrongScale" . }}
{{ include "sink.wrongTimes" . }}
{{ include "sink.wrongMemory" . }}
{{ include "sink.wrongNetwork" . }}
{{- end -}}

{{- define "sink.wrongConfig" -}}
{{- $config := .Values.config -}}
{{- with dig "kafka" "bootstrap_servers" "" $config }}
{{- range splitList "," . }}
{{- if not (regexMatch ".:[0-9]+$" (trim .)) }}
config.kafka.bootstrap_servers: {{ trim . | quote }} has no port: write host:port, separated by commas
{{- end }}
{{- end }}
{{- else }}
config.kafka.bootstrap_servers is missing: write host:port, separated by commas
{{- end }}
{{- if not (dig "kafka" "topics" list $config) }}
config.kafka.topics is empty: name at least one topic
{{- end }}
{{- if not (dig "kafka" "group_id" "" $config) }}
config.kafka.group_id is missing: name the consumer group that all replicas share
{{- end }}
{{- if not (dig "s3" "bucket" "" $config) }}
config.s3.bucket is missing: name the bucket
{{- end }}
{{- if hasKey $config "http" }}
config.http is written by the chart: set http.address, http.port and http.tokenSecret in its place
{{- end }}
{{- if dig "kafka" "group_instance_id" "" $config }}
config.kafka.group_instance_id would be the same for all replicas: take it out and set membership.static, which makes it each pod's name
{{- end }}
{{- if hasKey (dig "kafka" "librdkafka" dict $config) "session.timeout.ms" }}
{{- if include "sink.static" . }}
config.kafka.librdkafka: session.timeout.ms is written by the chart: set membership.sessionTimeout in its place
{{- end }}
{{- end }}
{{- $own := list "KAFKA_S3_SINK__KAFKA__GROUP_INSTANCE_ID" "KAFKA_S3_SINK__HTTP__LISTEN" "KAFKA_S3_SINK__HTTP__TOKEN_FILE" }}
{{- range .Values.extraEnv }}
{{- if has (upper .name) $own }}
extraEnv: {{ .name }} is set by the chart: see membership and http
{{- end }}
{{- if and (hasKey . "value") (regexMatch "PASSWORD|SECRET|_PEM$" (upper .name)) }}
extraEnv: the value of {{ .name }} may be secret, and could be read in the StatefulSet: take it from a Secret (kafkaSecrets, storeCredentials, or valueFrom)
{{- end }}
{{- end }}
{{- end -}}

{{- define "sink.wrongSecrets" -}}
{{- $plain := dig "kafka" "librdkafka" dict .Values.config -}}
{{- range $property, $_ := $plain }}
{{- if regexMatch "password|secret|\\.pem$|^sasl\\.oauthbearer\\.config$|^sasl\\.jaas" $property }}
config.kafka.librdkafka: {{ $property }} may be secret, and a ConfigMap is not: set kafkaSecrets."{{ $property }}" to the name and key of a Secret
{{- end }}
{{- end }}
{{- range $property, $_ := .Values.kafkaSecrets }}
{{- if hasKey $plain $property }}
kafkaSecrets: {{ $property }} stands in config.kafka.librdkafka too: keep one of the two
{{- end }}
{{- end }}
{{- range .Values.secretFiles }}
{{- if regexMatch "^/(etc|run/secrets)/kafka-s3-sink(/|$)" .mountPath }}
secretFiles: {{ .mountPath }} is where the chart mounts its own files: choose another folder
{{- end }}
{{- end }}
{{- if and .Values.serviceAccount.annotations (not .Values.serviceAccount.create) }}
serviceAccount.annotations would go nowhere, for serviceAccount.create is false: annotate that account yourself
{{- end }}
{{- end -}}

{{- define "sink.wrongScale" -}}
{{- $partitions := .Values.kafkaPartitions | int64 -}}
{{- if .Values.keda.enabled }}
{{- if not (kindIs "invalid" .Values.replicaCount) }}
replicaCount and keda.enabled exclude each other: keda decides the number, from keda.minReplicas to keda.maxReplicas
{{- end }}
{{- if not $partitions }}
kafkaPartitions is missing: keda needs the number of Kafka partitions of all topics, for more replicas than that would be idle
{{- else if gt (int64 .Values.keda.maxReplicas) $partitions }}
keda.maxReplicas is {{ .Values.keda.maxReplicas }}, and there are {{ $partitions }} Kafka partitions (kafkaPartitions): the others would be idle
{{- end }}
{{- if gt (int64 .Values.keda.minReplicas) (int64 .Values.keda.maxReplicas) }}
keda.minReplicas is {{ .Values.keda.minReplicas }}, more than keda.maxReplicas ({{ .Values.keda.maxReplicas }})
{{- end }}
{{- if not .Values.keda.prometheusAddress }}
keda.prometheusAddress is missing: name the Prometheus that scrapes the sink
{{- end }}
{{- else if and $partitions (gt (int64 .Values.replicaCount) $partitions) }}
replicaCount is {{ .Values.replicaCount }}, and there are {{ $partitions }} Kafka partitions (kafkaPartitions): the others would be idle
{{- end }}
{{- end -}}

{{- define "sink.wrongTimes" -}}
{{- $shutdown := include "sink.shutdownSeconds" . | int64 -}}
{{- $grace := include "sink.graceSeconds" . | int64 -}}
{{- if lt $grace (add $shutdown 5) }}
terminationGracePeriodSeconds is {{ $grace }}, and config.shutdown.timeout is {{ $shutdown }} s: give it 5 s more than that at least, or leave it unset
{{- end }}
{{- $longest := dig "kafka" "librdkafka" dict .Values.config | dig "max.poll.interval.ms" 300000 | int64 }}
{{- $session := include "sink.milliseconds" .Values.membership.sessionTimeout | int64 }}
{{- if and (include "sink.static" .) (lt $session 6000) }}
membership.sessionTimeout is {{ .Values.membership.sessionTimeout }}: brokers refuse less than 6s (group.min.session.timeout.ms), and a pod must restart within it
{{- end }}
{{- if and (include "sink.static" .) (gt $session $longest) }}
membership.sessionTimeout is {{ .Values.membership.sessionTimeout }}, more than max.poll.interval.ms ({{ $longest }} ms): lower it, or raise config.kafka.librdkafka."max.poll.interval.ms"
{{- end }}
{{- end -}}

{{- /* The sink's own rule (a limit it cannot keep is refused at its start), before anything runs. */ -}}
{{- define "sink.wrongMemory" -}}
{{- $mib := 1048576 -}}
{{- $largest := include "sink.bytes" (dig "records" "max_bytes" "16MiB" .Values.config) | int64 -}}
{{- range .Values.config.topic | default dict -}}
{{- $largest = max $largest (include "sink.bytes" (dig "records" "max_bytes" 0 .)) -}}
{{- end -}}
{{- $lanes := dig "kafka" "lanes" 1 .Values.config | int64 -}}
{{- $least := max (mul 64 $mib) (add (mul 48 $mib) (mul 2 $largest (add $lanes 1))) -}}
{{- $container := include "sink.bytes" .Values.resources.limits.memory | int64 -}}
{{- $own := dig "memory" "limit" "" .Values.config -}}
{{- range $name, $resources := dict "resources" .Values.resources "audit.resources" .Values.audit.resources }}
{{- $requested := dig "requests" "memory" "" $resources }}
{{- if and $requested (ne (toString $requested) (toString $resources.limits.memory)) }}
{{ $name }}.requests.memory is {{ $requested }}, and the limit {{ $resources.limits.memory }}: take it out, for it follows the limit; a sink that is promised less than it may take is the first to be evicted
{{- end }}
{{- end }}
{{- if $own }}
{{- $limit := include "sink.bytes" $own | int64 }}
{{- if lt $container (add $limit (mul 32 $mib)) }}
resources.limits.memory is {{ .Values.resources.limits.memory }}, and config.memory.limit is {{ $own }}: the container needs 32Mi more than that, for threads' stacks and files' pages
{{- end }}
{{- else if lt (div $container 2) $least }}
resources.limits.memory is {{ .Values.resources.limits.memory }}: the sink takes half of it, and needs {{ divf $least $mib | ceil }}MiB for records of {{ divf $largest $mib }}MiB and kafka.lanes = {{ $lanes }}, so give it {{ divf (mul 2 $least) $mib | ceil }}Mi at least, or lower config.records.max_bytes
{{- end }}
{{- end -}}

{{- define "sink.wrongNetwork" -}}
{{- if and .Values.networkPolicy.enabled .Values.podMonitor.enabled (not .Values.networkPolicy.scrapers) }}
networkPolicy.scrapers is empty, so the Prometheus that podMonitor.enabled calls would not be let in: name the namespace that it runs in
{{- end }}
{{- end -}}
