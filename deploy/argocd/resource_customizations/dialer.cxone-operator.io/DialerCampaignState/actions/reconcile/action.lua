-- A look at once. It starts nothing that the gates forbid.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["reconcile.dialer.cxone-operator.io/requestedAt"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
return obj
