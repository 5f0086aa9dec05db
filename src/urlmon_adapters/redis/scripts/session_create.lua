-- Create the session of a login; answer it, nothing if the login is over.
-- KEYS: the user.  ARGV: the offset, the session's id, its data, the login's generation and end,
-- ttl and lifetime in microseconds.  Needs clock.lua and session.lua.
local id, data, generation, login = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local ttl, lifetime = tonumber(ARGV[6]), tonumber(ARGV[7])

local known = read_times(id)
if known then return is_over(known) and {} or row_of(id) end
if redis.call("HGET", USER, "generation") ~= generation or now >= login then return {} end

local live, count = live_sessions()
redis.call("HSET", USER, "data:" .. id, data)
write_times(id, {
  created = now,
  seen = now,
  ttl = ttl,
  expires = now + ttl,
  ends = now + lifetime,
  login = login,
})
keep_until(math.max(now + ttl, login))
if count >= MAX_SESSIONS then
  local unused
  for each, times in pairs(live) do
    local before = unused and live[unused].seen
    if not before or times.seen < before or (times.seen == before and each < unused) then
      unused = each
    end
  end
  revoke(unused)
end
return row_of(id)
