-- The strict health of a campaign's declaration: Healthy only where CXone does what spec declares, for waves that must wait for real
-- dialing. It keeps a sync open for as long as the campaign is held, suspended or only observed, and an open sync keeps the next
-- commit from being applied: read docs/argocd.md before you take it. But for its end it is the script that is bundled.

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
if ready.reason ~= obj.status.observed then
  return health("Progressing", "not as declared, " .. told(ready))
end
return health("Healthy", told(ready))
