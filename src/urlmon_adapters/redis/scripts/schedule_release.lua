-- Give a check back; answer 1, or 0 if the claim is lost.
-- KEYS: schedule.lua's.  ARGV: the offset, the monitor, the token, the delay in microseconds.
-- Needs clock.lua and schedule.lua.
local monitor, token, delay = ARGV[2], ARGV[3], tonumber(ARGV[4])

local run = read_run(monitor)
if not run or run.token ~= token then return 0 end
if run.state == "claimed" then
  run.state = "released"
  write_run(monitor, run)
  redis.call("ZADD", QUEUE, text(now + delay), monitor)
  return 1
end
return run.state == "released" and 1 or 0
