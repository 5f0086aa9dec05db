-- Begin or end a suppression; answer the state now, "" where nothing is known.
-- KEYS: outbox.lua's, alert.lua's.  ARGV: the offset, the monitor, the end or "-".
-- Needs clock.lua, outbox.lua, alert.lua and alert_tell.lua.
local monitor = ARGV[2]

local state = read_state(monitor)
state.suppressed = ARGV[3]
local row = write_state(monitor, state)
if state.suppressed ~= "-" then withdraw_reminder(state) end
return row
