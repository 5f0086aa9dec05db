-- Look what a claim would find: 1 if the request was served before, else 0 and since when, the
-- longest first, up to a limit, monitors could have been claimed.
-- KEYS: the request, schedule_run.lua's.  ARGV: the offset, the limit.
-- Needs whole.lua, clock.lua, schedule_run.lua and schedule_request.lua.
if read_request() then return {1, ""} end
local due = redis.call("ZRANGEBYSCORE", QUEUE, "-inf", text(now), "WITHSCORES", "LIMIT", 0, ARGV[2])
local since = {}
-- Newer servers write some scores with an exponent.
for i = 2, #due, 2 do since[i / 2] = text(due[i]) end
return {0, table.concat(since, " ")}
