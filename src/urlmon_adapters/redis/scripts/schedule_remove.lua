-- Take a monitor off the schedule, and remember the version, so that no older one brings it back.
-- KEYS: the version that was removed, schedule.lua's.  ARGV: the offset, the monitor.
-- Needs clock.lua and schedule.lua.
local monitor = ARGV[2]
local DAY = 86400000

local run = read_run(monitor)
if run then
  redis.call("SET", KEYS[1], text(run.version), "PX", 2 * DAY)
  redis.call("HDEL", RUNS, monitor)
  redis.call("ZREM", QUEUE, monitor)
end
