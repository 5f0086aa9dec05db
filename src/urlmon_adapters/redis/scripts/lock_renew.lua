-- Put the end of a lease off; answer 1, or 0 if it is over.
-- KEYS: the lease.  ARGV: the offset, the token, the ttl in microseconds.  Needs clock.lua.
local LEASE, token, ttl = KEYS[1], ARGV[2], tonumber(ARGV[3])

local held = redis.call("HMGET", LEASE, "token", "until")
if held[1] ~= token or now >= tonumber(held[2]) then return 0 end
redis.call("HSET", LEASE, "until", text(now + ttl))
redis.call("PEXPIRE", LEASE, math.ceil(ttl / 1000) + 1000)
return 1
