-- Note that the open alert was taken on; answer the state now, nothing if it is another alert.
-- KEYS: the state.  ARGV: the offset, the alert.
if redis.call("HGET", KEYS[1], "open_alert") ~= ARGV[2] then return {} end
redis.call("HSET", KEYS[1], "acknowledged", "1")
return redis.call("HGETALL", KEYS[1])
