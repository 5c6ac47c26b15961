-- Health of a campaign's declaration. A campaign that is held is Healthy: it does what the declaration and the law come to, and a
-- sync that waited for the hours to open would keep the next commit, perhaps the one that stops the dialer, from being applied.
-- It needs no standard library, so that it can stand in argocd-cm as it is.

local function health(status, message)
  return {status = status, message = message}
end

if obj.metadata.deletionTimestamp ~= nil then
  return health("Progressing", "being deleted: a campaign that runs is paused first")
end

-- Before the operator has seen the newest generation, status speaks of something else.
local generation = obj.metadata.generation
if obj.status == nil or obj.status.observedGeneration ~= generation then
  return health("Progressing", "the operator has not seen generation " .. tostring(generation) .. " yet")
end

local found = {}
for _, condition in ipairs(obj.status.conditions or {}) do
  if condition.observedGeneration == generation then
    found[condition.type] = condition
  end
end

local function is_true(kind)
  return found[kind] ~= nil and found[kind].status == "True"
end

local function told(condition)
  return condition.reason .. ": " .. condition.message
end

for _, kind in ipairs({"Violation", "Stalled"}) do
  if is_true(kind) then
    return health("Degraded", told(found[kind]))
  end
end
if is_true("Reconciling") then
  return health("Progressing", told(found.Reconciling))
end

local ready = found.Ready
if ready == nil or ready.status == "Unknown" then
  return health("Progressing", "the operator has not said yet how it stands")
end
if ready.status ~= "True" then
  return health("Degraded", told(ready))
end
-- From here on the strict script (deploy/argocd/strict) differs.
if is_true("Held") and ready.reason == found.Held.reason then
  local next = obj.status.nextTransition
  local until_when = ""
  if next ~= nil and next.to == "Running" then
    until_when = "; until " .. next.at
  end
  return health("Healthy", "held, " .. told(found.Held) .. until_when)
end
return health("Healthy", told(ready))
