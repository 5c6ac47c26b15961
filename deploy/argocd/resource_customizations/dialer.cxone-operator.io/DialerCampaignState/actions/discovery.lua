-- Which actions are offered. All of them write annotations alone, which no sync takes away: git does not name them.
local annotations = obj.metadata.annotations or {}
local held = annotations["dialer.cxone-operator.io/hold"] ~= nil
local paused_elsewhere = obj.status ~= nil and obj.status.externalPause ~= nil

local actions = {}
actions["hold"] = {
  ["disabled"] = held,
  ["iconClass"] = "fa fa-fw fa-pause-circle",
  ["displayName"] = "Hold",
  ["params"] = {{["name"] = "reason", ["default"] = ""}}
}
actions["release"] = {
  ["disabled"] = not held and not paused_elsewhere,
  ["iconClass"] = "fa fa-fw fa-play-circle",
  ["displayName"] = "Release"
}
actions["reconcile"] = {
  ["disabled"] = false,
  ["iconClass"] = "fa fa-fw fa-sync",
  ["displayName"] = "Reconcile now"
}
return actions
