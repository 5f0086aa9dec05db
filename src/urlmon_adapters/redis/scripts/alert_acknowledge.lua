-- Note that the open alert was taken on; answer the state now, "" if it is another alert.
-- KEYS: outbox.lua's, alert.lua's.  ARGV: the offset, the monitor, the alert.
-- Needs clock.lua, outbox.lua, alert.lua and alert_tell.lua.
local monitor = ARGV[2]

local state = read_state(monitor)
if state.open ~= ARGV[3] then return "" end
state.acknowledged = "1"
local row = write_state(monitor, state)
withdraw_reminder(state)
return row
