-- Drop a value and the load of it.
-- KEYS: see cache.lua.  ARGV: the offset.
redis.call("DEL", KEYS[2], KEYS[3])
