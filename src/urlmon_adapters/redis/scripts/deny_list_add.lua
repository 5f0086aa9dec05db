-- Deny a token.
-- KEYS: deny_list.lua's.  ARGV: the offset, the end.  Needs clock.lua and deny_list.lua.
local ends = tonumber(ARGV[2])
complete_since()

local known = tonumber(redis.call("GET", DENIAL) or 0)
if ends > now and ends > known then
  -- The end stands in the value; the expiry only cleans up.
  redis.call("SET", DENIAL, text(ends), "PX", text(math.ceil((ends - now) / 1000) + 1000))
end
