-- The brake: while the annotation is there the campaign may not run, whatever git declares.
local os = require("os")
local reason = actionParams ~= nil and actionParams["reason"] or ""
if reason == "" then
  reason = "held from Argo CD at " .. os.date("!%Y-%m-%dT%H:%M:%SZ")
end
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["dialer.cxone-operator.io/hold"] = reason
return obj
