-- Store a state where there is none, and keep a suppression that is there; answer the state now.
-- KEYS: outbox.lua's, alert.lua's.  ARGV: the offset, the monitor, the state.
-- Needs alert.lua.
local monitor, given = ARGV[2], parse(ARGV[3])

local state, row = read_state(monitor)
local suppressed = state.suppressed
state.suppressed = "-"
if format(state) == UNKNOWN then
  given.kind, given.at = state.kind, state.at
  if suppressed ~= "-" then given.suppressed = suppressed end
  return write_state(monitor, given)
end
return row
