-- Health of a tenant. What is not Ready is Degraded, never Progressing: while CXone is away an open sync would keep the next
-- commit, perhaps the one that stops the dialer, from being applied.

local function health(status, message)
  return {status = status, message = message}
end

if obj.metadata.deletionTimestamp ~= nil then
  return health("Progressing", "being deleted")
end

local generation = obj.metadata.generation
if obj.status == nil or obj.status.observedGeneration ~= generation then
  return health("Progressing", "the operator has not seen generation " .. tostring(generation) .. " yet")
end

local ready, missing = nil, ""
for _, condition in ipairs(obj.status.conditions or {}) do
  if condition.type == "Ready" then
    ready = condition
  elseif condition.status == "False" then
    -- A sink that gets nothing stops no campaign: it is said, and the tenant stays Healthy.
    missing = missing .. "; " .. condition.reason .. ": " .. condition.message
  end
end

if ready == nil or ready.observedGeneration ~= generation or ready.status == "Unknown" then
  return health("Progressing", "the operator has not said yet how it stands")
end
local message = ready.reason .. ": " .. ready.message
if ready.status ~= "True" then
  return health("Degraded", message)
end
return health("Healthy", message .. missing)
