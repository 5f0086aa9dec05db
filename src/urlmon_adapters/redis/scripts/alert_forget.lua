-- Drop a state, and tell the end of what was open.
-- KEYS: outbox.lua's, alert.lua's.  ARGV: the offset, the monitor.
-- Needs clock.lua, outbox.lua, alert.lua and alert_tell.lua.
local monitor = ARGV[2]

local state = read_state(monitor)
local ends = {{"stable", state.flapping, 0}, {"resolved", state.open, state.reminders}}
for _, each in ipairs(ends) do
  local kind, episode, number = unpack(each)
  if episode ~= "-" then
    tell(monitor, episode, kind, number, rule_of(state), text(now), "-", "")
  end
end
redis.call("HDEL", STATES, monitor)
redis.call("ZREM", OWED, monitor)
