{{/* Names, labels and the parts that gateways, workers and the topics Job have in common. */}}
{{- define "tidegate.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What selects the pods of a part: (list . "gateway") */}}
{{- define "tidegate.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "tidegate.labels" -}}
{{- $root := index . 0 -}}
{{ include "tidegate.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* (list . own): own is a part's image, which beats the common one */}}
{{- define "tidegate.image" -}}
{{- $root := index . 0 -}}
{{- $own := index . 1 -}}
{{- $digest := default $root.Values.image.digest $own.digest -}}
{{- if $digest -}}
{{- printf "%s@%s" $root.Values.image.repository $digest -}}
{{- else -}}
{{- printf "%s:%s" $root.Values.image.repository (default (default $root.Chart.AppVersion $root.Values.image.tag) $own.tag) -}}
{{- end -}}
{{- end -}}

{{- define "tidegate.secretName" -}}
{{- default (printf "%s-keys" (include "tidegate.fullname" .)) .Values.secrets.existingSecret -}}
{{- end -}}

{{- define "tidegate.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "tidegate.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "tidegate.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "tidegate.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Where Kafka is: of all three. */}}
{{- define "tidegate.kafkaEnv" -}}
- name: TIDEGATE_KAFKA
  value: {{ required "kafka.brokers: host:port,host:port" .Values.kafka.brokers | quote }}
{{- if .Values.kafka.prefix }}
- name: TIDEGATE_PREFIX
  value: {{ .Values.kafka.prefix | quote }}
{{- end }}
{{- if .Values.kafka.existingSecret }}
- name: TIDEGATE_KAFKA_CONFIG
  value: /etc/tidegate/kafka/properties
{{- end }}
{{- end -}}

{{/* What gateways and workers have in common. */}}
{{- define "tidegate.env" -}}
{{ include "tidegate.kafkaEnv" . }}
- name: TIDEGATE_REDIS
  value: {{ required "redis.servers: host:port" .Values.redis.servers | quote }}
- name: TIDEGATE_LISTEN
  value: 0.0.0.0:8080
- name: TIDEGATE_LINK_KEY
  value: /etc/tidegate/keys/link
- name: TIDEGATE_LOG_LEVEL
  value: {{ .Values.logLevel }}
{{- end -}}

{{- define "tidegate.mounts" -}}
- {name: keys, mountPath: /etc/tidegate/keys, readOnly: true}
{{- if .Values.kafka.existingSecret }}
- {name: kafka, mountPath: /etc/tidegate/kafka, readOnly: true}
{{- end }}
{{- end -}}

{{- define "tidegate.volumes" -}}
- name: keys
  secret:
    secretName: {{ include "tidegate.secretName" . }}
    defaultMode: 0440
{{- if .Values.kafka.existingSecret }}
- name: kafka
  secret:
    secretName: {{ .Values.kafka.existingSecret }}
    defaultMode: 0440
{{- end }}
{{- end -}}

{{/* Alive is another question than ready: a worker that restores for minutes, or whose Kafka is away, is alive. */}}
{{- define "tidegate.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
{{- end -}}

{{- define "tidegate.placing" -}}
{{- $root := index . 0 -}}
{{- $part := index . 1 -}}
{{- $values := index $root.Values $part -}}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "tidegate.selector" (list $root $part) | nindent 8 }}
  {{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* (list . "gateway"): all of a pod's spec that has nothing to do with which part it is */}}
{{- define "tidegate.podSpec" -}}
{{- $root := index . 0 -}}
{{- $part := index . 1 -}}
{{- $values := index $root.Values $part -}}
serviceAccountName: {{ include "tidegate.serviceAccountName" $root }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  {{- include "tidegate.podSecurity" $root | nindent 2 }}
{{ include "tidegate.placing" . }}
{{- end -}}
