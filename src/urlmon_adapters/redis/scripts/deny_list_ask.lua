-- Answer 1 or 0: whether a token is denied; and since when the list is complete.
-- KEYS: deny_list.lua's.  ARGV: the offset.  Needs clock.lua and deny_list.lua.
local since = complete_since()

local ends = redis.call("GET", DENIAL)
return {ends and now < tonumber(ends) and 1 or 0, text(since)}
