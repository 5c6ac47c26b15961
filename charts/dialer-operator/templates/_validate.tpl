{{/* What the schema can't tell, or only by a pattern that nobody reads. The operator would refuse all of this at its start; by then an
     upgrade has ended the one before. */}}
{{- define "dialer-operator.validate" -}}
{{- $host := include "dialer-operator.hostPattern" . -}}
{{- $level := "(?i:off|error|warn|info|debug|trace)" -}}
{{- $part := "[A-Za-z0-9_:]+" -}}
{{- range $name := list "allowEndpoints" "allowSinks" -}}
{{- range $value := get $.Values $name -}}
{{- list $name $value (printf "^(https?://)?%s$" $host) "HOST[:PORT], by https, or http://HOST[:PORT]; no path, no user, no pattern" | include "dialer-operator.expect" -}}
{{- end -}}
{{- end -}}
{{- list "proxy.url" .Values.proxy.url (printf "^$|^https?://%s/?$" $host) "http://HOST[:PORT] or https://HOST[:PORT]; with a user and a password: proxy.secretRef" | include "dialer-operator.expect" -}}
{{- list "audit.maxSize" .Values.audit.maxSize "^([1-9][0-9]{0,3}MiB|([1-9]|1[0-6])GiB)$" "1MiB to 9999MiB, or 1GiB to 16GiB" | include "dialer-operator.expect" -}}
{{- list "audit.maxAge" .Values.audit.maxAge "^([1-9][0-9]{0,3}[mh]|([1-9][0-9]{0,2}|[12][0-9]{3}|3[0-5][0-9]{2}|36[0-5][0-9]|3660)d)$" "1m to 9999m, 1h to 9999h, or 1d to 3660d" | include "dialer-operator.expect" -}}
{{- list "log.level" .Values.log.level (printf "^(%s=)?%s(,(%s=)?%s)*$" $part $level $part $level) "error, warn, info, debug or trace, and of parts PART=LEVEL, such as info,dialer_operator=debug" | include "dialer-operator.expect" -}}
{{- if not (regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" (include "dialer-operator.fullname" .)) -}}
{{- fail (printf "the release is named %q, which can't begin the name of a Service: set fullnameOverride" .Release.Name) -}}
{{- end -}}
{{- if and .Values.policies.required (not .Values.policies.enabled) -}}
{{- fail "policies.required: true needs policies.enabled: true: hours can't come from policies that are not read" -}}
{{- end -}}
{{- if and .Values.audit.persistence.existingClaim (not .Values.audit.persistence.enabled) -}}
{{- fail "audit.persistence.existingClaim: is not used while audit.persistence.enabled is false" -}}
{{- end -}}
{{- if and .Values.proxy.url .Values.proxy.secretRef -}}
{{- fail "proxy.url and proxy.secretRef exclude each other: set one of them" -}}
{{- end -}}
{{- if .Values.networkPolicy.enabled -}}
{{- if and .Values.serviceMonitor.enabled (not .Values.networkPolicy.metricsFrom) -}}
{{- fail "networkPolicy.metricsFrom: must name who scrapes, since serviceMonitor.enabled is true and networkPolicy.enabled lets nobody else in" -}}
{{- end -}}
{{- if and .Values.proxy.secretRef (not .Values.networkPolicy.proxy.ports) -}}
{{- fail "networkPolicy.proxy.ports: must be set with proxy.secretRef: the port can't be read from the Secret" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A name, its value, the pattern of those that are accepted, and the same in words. */}}
{{- define "dialer-operator.expect" -}}
{{- if not (regexMatch (index . 2) (index . 1)) -}}
{{- fail (printf "%s: %q is not accepted; it takes %s" (index . 0) (index . 1) (index . 3)) -}}
{{- end -}}
{{- end -}}

{{/* HOST[:PORT]. A last label that begins with a digit would make it an address, and perhaps none that exists. */}}
{{- define "dialer-operator.hostPattern" -}}
{{- $name := "([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?\\.)*[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?" -}}
{{- $octet := "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])" -}}
{{- $group := "[0-9a-fA-F]{1,4}" -}}
{{- $ipv6 := list (printf "(%s:){7}%s" $group $group) (printf "(%s:){1,7}:" $group) (printf ":(:%s){1,7}" $group) "::" -}}
{{- range $before := until 7 | rest -}}
{{- $ipv6 = append $ipv6 (printf "(%s:){1,%d}(:%s){1,%d}" $group $before $group (sub 7 $before)) -}}
{{- end -}}
{{- $port := "(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})" -}}
{{- printf "(%s|(%s\\.){3}%s|\\[(%s)\\])(:%s)?" $name $octet $octet (join "|" $ipv6) $port -}}
{{- end -}}
