-- Health of a policy. Closed and frozen are Healthy: that is what the policy is for. An operator of one namespace writes no
-- status of a policy, though it obeys it, so that no wave may wait for one for ever: after a minute without, it counts as taken in.

local function health(status, message)
  return {status = status, message = message}
end

if obj.metadata.deletionTimestamp ~= nil then
  return health("Progressing", "being deleted")
end

local generation = obj.metadata.generation
local observed = obj.status and obj.status.observedGeneration or -1
if observed == -1 then
  local os = require("os")
  -- Times of one form compare as text.
  if obj.metadata.creationTimestamp < os.date("!%Y-%m-%dT%H:%M:%SZ", os.time() - 60) then
    return health("Healthy", "no operator that sees all namespaces tells of it; it holds all the same")
  end
  return health("Progressing", "the operator has not seen it yet")
end
if observed ~= generation then
  return health("Progressing", "the operator has not seen generation " .. tostring(generation) .. " yet")
end

local ready = nil
for _, condition in ipairs(obj.status.conditions or {}) do
  if condition.type == "Ready" and condition.observedGeneration == generation then
    ready = condition
  end
end

if ready == nil or ready.status == "Unknown" then
  return health("Progressing", "the operator has not said yet how it stands")
end
if ready.status ~= "True" then
  return health("Degraded", ready.reason .. ": " .. ready.message)
end
local message = tostring(obj.status.state) .. ": " .. ready.message
if obj.status.nextChange ~= nil then
  message = message .. "; changes " .. obj.status.nextChange
end
return health("Healthy", message)
