-- Give a name back and wake those who wait for it, if this token holds it.
-- KEYS: the lease.  ARGV: the offset, the token, the channel.
if redis.call("HGET", KEYS[1], "token") == ARGV[2] then
  redis.call("DEL", KEYS[1])
  redis.call("PUBLISH", ARGV[3], "")
end
