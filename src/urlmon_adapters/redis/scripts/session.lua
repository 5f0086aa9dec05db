-- The sessions of a user, in one hash.  KEYS[1]; needs clock.lua.
--   generation   another number after every revocation of all; what a login was begun with
--   data:<id>    what was given with a session, as JSON
--   times:<id>   "<created> <seen> <ttl> <expires> <ends> <until when its login may come again>"
-- A session that was revoked has times without data, until its login can come no more.
local USER = KEYS[1]
local MAX_SESSIONS = 100

local function read_times(id)
  local row = redis.call("HGET", USER, "times:" .. id)
  if not row then return nil end
  local created, seen, ttl, expires, ends, login =
    row:match("^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$")
  return {
    created = tonumber(created),
    seen = tonumber(seen),
    ttl = tonumber(ttl),
    expires = tonumber(expires),
    ends = tonumber(ends),
    login = tonumber(login),
  }
end

local function write_times(id, times)
  local row = {
    text(times.created),
    text(times.seen),
    text(times.ttl),
    text(times.expires),
    text(times.ends),
    text(times.login),
  }
  redis.call("HSET", USER, "times:" .. id, table.concat(row, " "))
end

local function is_over(times)
  return now >= times.expires
end

-- The ends stand in the rows; the expiry only cleans up.
local function keep_until(moment)
  local milliseconds = math.ceil((moment - now) / 1000) + 1000
  if milliseconds > redis.call("PTTL", USER) then redis.call("PEXPIRE", USER, milliseconds) end
end

-- What frees memory comes first, so that a full server revokes all the same.
local function revoke(id)
  local times = read_times(id)
  if not times then return end
  redis.call("HDEL", USER, "data:" .. id)
  if now >= times.login then
    redis.call("HDEL", USER, "times:" .. id)
  elseif times.expires > 0 then
    times.expires = 0
    write_times(id, times)
  end
end

-- Remove what is over and cannot come again; return the times of the others, by their ids.
local function live_sessions()
  local live, count = {}, 0
  for _, field in ipairs(redis.call("HKEYS", USER)) do
    local id = field:match("^times:(.*)$")
    local times = id and read_times(id)
    if times and not is_over(times) then
      live[id], count = times, count + 1
    elseif times and now >= times.login then
      revoke(id)
    end
  end
  return live, count
end

local function row_of(id)
  return {
    id,
    redis.call("HGET", USER, "data:" .. id),
    redis.call("HGET", USER, "times:" .. id),
  }
end
