-- Answer the body that is kept, or nothing.
-- KEYS: see cache.lua, which this needs.  ARGV: the offset.
local _, body = find(redis.call("GET", GENERATION))
return body or {}
