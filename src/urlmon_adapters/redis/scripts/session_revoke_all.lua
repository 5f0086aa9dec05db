-- End all sessions of a user and all logins that have begun.
-- KEYS: the user.  ARGV: the offset, how long a login may take, in microseconds.
-- Needs clock.lua and session.lua.
local before = tonumber(redis.call("HGET", USER, "generation") or 0)
redis.call("DEL", USER)
redis.call("HSET", USER, "generation", text(math.max(before + 1, now)))
keep_until(now + ARGV[2])
