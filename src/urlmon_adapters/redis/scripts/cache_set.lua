-- Keep a body.
-- KEYS: see cache.lua, which this needs.  ARGV: the offset, random text, the ttl in microseconds,
-- the body.
local ttl = tonumber(ARGV[3])
keep(lasting(ARGV[2], ttl), ttl, ARGV[4])
