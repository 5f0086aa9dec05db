-- Begin a login; answer the user's generation, and when the login is over.
-- KEYS: the user.  ARGV: the offset, how long a login may take, in microseconds.
-- Needs clock.lua and session.lua.
local ends = now + ARGV[2]

local generation = redis.call("HGET", USER, "generation")
if not generation then
  generation = text(now)
  redis.call("HSET", USER, "generation", generation)
end
keep_until(ends)
return {generation, text(ends)}
