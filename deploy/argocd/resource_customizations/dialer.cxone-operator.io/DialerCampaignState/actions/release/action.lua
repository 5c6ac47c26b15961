-- Lets go of what a person has stopped, one brake at a time: first a hold; where there is none, a pause that somebody made in CXone.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
local annotations = obj.metadata.annotations
if annotations["dialer.cxone-operator.io/hold"] ~= nil then
  annotations["dialer.cxone-operator.io/hold"] = nil
elseif obj.status ~= nil and obj.status.externalPause ~= nil then
  annotations["dialer.cxone-operator.io/release"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
else
  error("nothing to release: no hold is set, and nobody else has paused it", 0)
end
return obj
