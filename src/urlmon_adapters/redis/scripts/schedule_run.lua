-- The newest claim on a monitor at a location.  Needs clock.lua and schedule.lua.
-- The last three of KEYS: the runs, the queue, the mark of whole.lua.
local RUNS, QUEUE = KEYS[#KEYS - 2], KEYS[#KEYS - 1]

local function read_run(monitor)
  return parse_run(redis.call("HGET", RUNS, monitor))
end

-- Put a monitor off until it can be claimed.
local function write_run(monitor, run, since)
  redis.call("HSET", RUNS, monitor, format_run(run))
  redis.call("ZADD", QUEUE, text(since), monitor)
end
