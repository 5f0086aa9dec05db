-- Keep what was loaded, if nothing was kept or dropped meanwhile; answer whether it is kept.
-- KEYS: see cache.lua, which this needs.  ARGV: the offset, the token, the ttl in microseconds, the
-- body unless there is nothing.
local ttl = tonumber(ARGV[3])

local load = redis.call("HMGET", LOAD, "generation", "token")
if load[2] ~= ARGV[2] or load[1] ~= redis.call("GET", GENERATION) then return 0 end
keep(lasting(load[1], ttl), ttl, ARGV[4])
return 1
