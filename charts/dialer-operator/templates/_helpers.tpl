{{- define "dialer-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Cluster-scoped objects carry the namespace: releases of one name in several namespaces must not share them. After the last dot:
     a namespace has none, so no two releases come to one name. */}}
{{- define "dialer-operator.clusterName" -}}
{{- printf "%s.%s" (include "dialer-operator.fullname" .) .Release.Namespace -}}
{{- end -}}

{{- define "dialer-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "dialer-operator.labels" -}}
{{ include "dialer-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "dialer-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "dialer-operator.fullname" .) -}}
{{- else -}}
{{- required "serviceAccount.name: must be set where serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "dialer-operator.image" -}}
{{- $repository := required "image.repository: must be set: no image is published; push the one that `make image` builds and name its repository" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "dialer-operator.auditClaim" -}}
{{- .Values.audit.persistence.existingClaim | default (printf "%s-audit" (include "dialer-operator.fullname" .)) -}}
{{- end -}}

{{- define "dialer-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "dialer-operator.serviceAccountName" . | quote }}
  namespace: {{ .Release.Namespace | quote }}
{{- end -}}

{{/* The port of HOST[:PORT], of http://HOST[:PORT] or of a URL with a path. */}}
{{- define "dialer-operator.portOf" -}}
{{- $authority := . | trimPrefix "https://" | trimPrefix "http://" | splitList "/" | first -}}
{{- $default := hasPrefix "http://" . | ternary "80" "443" -}}
{{- regexFind ":[0-9]+$" $authority | trimPrefix ":" | default $default -}}
{{- end -}}
