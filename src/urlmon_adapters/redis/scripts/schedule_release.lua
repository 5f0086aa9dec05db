-- Give a check back; answer 1, or 0 if the claim is lost.
-- KEYS: schedule_run.lua's.  ARGV: the offset, the monitor, the token, the delay in microseconds.
-- Needs clock.lua and schedule_run.lua.
local monitor, token, delay = ARGV[2], ARGV[3], tonumber(ARGV[4])

local run = read_run(monitor)
if not run or run.token ~= token then return 0 end
if run.state == "claimed" then
  run.state = "released"
  write_run(monitor, run, now + delay)
  return 1
end
return run.state == "released" and 1 or 0
