-- Lease a name.  Answers 1 and the fence, or 0 and the microseconds for which somebody has it.
-- KEYS: the lease, the newest fence.  ARGV: the offset, a token, the ttl in microseconds.
-- Needs clock.lua.
local LEASE, FENCE = KEYS[1], KEYS[2]
local token, ttl = ARGV[2], tonumber(ARGV[3])
local DAY = 86400000

local held = redis.call("HMGET", LEASE, "token", "until", "fence")
if held[1] and now < tonumber(held[2]) then
  -- Our own token: the answer to the first try was lost.
  if held[1] == token then return {1, held[3]} end
  return {0, text(held[2] - now)}
end
-- The time takes over from a counter that was lost, or was cleaned up because nobody came for long.
local fence = text(math.max(tonumber(redis.call("GET", FENCE) or 0) + 1, now))
redis.call("SET", FENCE, fence, "PX", 2 * DAY)
redis.call("HSET", LEASE, "token", token, "until", text(now + ttl), "fence", fence)
-- The end stands in the row; the expiry only cleans up.
redis.call("PEXPIRE", LEASE, math.ceil(ttl / 1000) + 1000)
return {1, fence}
