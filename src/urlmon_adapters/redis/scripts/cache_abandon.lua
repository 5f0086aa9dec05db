-- Let another load at once, if this token has the right to.
-- KEYS: see cache.lua.  ARGV: the offset, the token.
if redis.call("HGET", KEYS[3], "token") == ARGV[2] then
  redis.call("HSET", KEYS[3], "until", "0")
end
