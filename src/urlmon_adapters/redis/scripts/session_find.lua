-- Find a session, which puts its end off; answer it, nothing if there is none.
-- KEYS: the user.  ARGV: the offset, the session's id.  Needs clock.lua and session.lua.
local id = ARGV[2]

local times = read_times(id)
if not times or is_over(times) then return {} end
times.seen, times.expires = now, math.min(now + times.ttl, times.ends)
write_times(id, times)
keep_until(times.expires)
return row_of(id)
