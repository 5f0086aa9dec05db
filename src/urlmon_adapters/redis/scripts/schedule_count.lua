-- Answer how many monitors there are, how many can be claimed, and for how many microseconds one of
-- them could have been, at most.
-- KEYS: schedule_run.lua's.  ARGV: the offset.  Needs clock.lua and schedule_run.lua.
local first = redis.call("ZRANGE", QUEUE, 0, 0, "WITHSCORES")
return {
  redis.call("ZCARD", QUEUE),
  redis.call("ZCOUNT", QUEUE, "-inf", text(now)),
  text(math.max(0, now - (first[2] or now))),
}
