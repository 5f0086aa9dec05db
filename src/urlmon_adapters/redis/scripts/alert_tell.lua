-- What alert states have to do with the outbox.  Needs clock.lua, outbox.lua and alert.lua.

-- Put a transition into the outbox.
local function tell(monitor, alert, kind, number, rule, at, location, cause)
  local item = table.concat({monitor, alert, kind, number, rule, at, location, cause}, " ")
  enter(alert .. ":" .. kind .. (kind == "reminder" and ":" .. number or ""), item)
end

local function rule_of(state)
  return state.policy == "" and "availability" or read_policy(state.policy).rule
end

local function withdraw_reminder(state)
  sweep()
  if state.open ~= "-" then withdraw(state.open .. ":reminder:" .. state.reminders) end
end
