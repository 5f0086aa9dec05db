-- Answer the sessions of a user.
-- KEYS: the user.  ARGV: the offset.  Needs clock.lua and session.lua.
local answer = {}
for id in pairs(live_sessions()) do answer[#answer + 1] = row_of(id) end
return answer
