-- Put the end of a lease off; answer it, or 0 if the claim is lost.
-- KEYS: schedule_run.lua's.  ARGV: the offset, the monitor, the token, the lease in microseconds.
-- Needs clock.lua and schedule_run.lua.
local monitor, token, lease = ARGV[2], ARGV[3], tonumber(ARGV[4])

local run = read_run(monitor)
if not run or run.token ~= token or run.state ~= "claimed" then return 0 end
local ends = text(now + lease)
redis.call("ZADD", QUEUE, ends, monitor)
return ends
