-- Store a state in the place of another, unless that has changed; answer "1" if it is there now.
-- KEYS: outbox.lua's, alert.lua's.  ARGV: the offset, the monitor, the one that is known, the state.
-- Needs clock.lua, outbox.lua and alert.lua.
local monitor = ARGV[2]

-- The locations of a state are in no order of their own.
local function in_order(row)
  local state, places = parse(row), {}
  for place in state.places:gmatch("[^,]+") do places[#places + 1] = place end
  table.sort(places)
  state.places = table.concat(places, ",")
  return format(state)
end

local state, row = read_state(monitor)
if row == "" then row = UNKNOWN end
if in_order(row) == in_order(ARGV[3]) then
  local given = parse(ARGV[4])
  given.kind, given.at = state.kind, state.at
  write_state(monitor, given)
  return "1"
end
return in_order(row) == in_order(ARGV[4]) and "1" or ""
