-- Begin or end a suppression; answer the state now.
-- KEYS: the state.  ARGV: the offset, the end or "".
if ARGV[2] == "" then
  redis.call("HDEL", KEYS[1], "suppressed_until")
else
  redis.call("HSET", KEYS[1], "suppressed_until", ARGV[2])
end
return redis.call("HGETALL", KEYS[1])
