-- The outbox of a bucket.  KEYS[1..5] are what `Keys.outbox` returns; needs clock.lua.
--   items   id -> "<tenant>:<monitor> <alert> <kind> <number> <rule> <at> <location or -> <cause>"
--   claims  id -> "<age> <attempts> <1 while it is leased, else 0> <token of the newest claim>"
--   due     ids by age: what may be claimed now
--   later   ids by the time at which they are due (again), or dead
--   dead    ids by the time at which they were given up
-- An id is "<alert>:<kind>", and "<alert>:reminder:<number>".  An end is in none of the last three
-- while what it has to await is here.
local ITEMS, CLAIMS, DUE, LATER, DEAD = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local MAX_ATTEMPTS = 10
local MAX_DEAD = 1000
local END_OF = {triggered = ":resolved", reminder = ":resolved", flapping = ":stable"}

local function read_claim(id)
  local row = redis.call("HGET", CLAIMS, id)
  if not row then return nil end
  local age, attempts, leased, token = row:match("^(%d+) (%d+) ([01]) (.*)$")
  return {age = age, attempts = tonumber(attempts), leased = leased == "1", token = token}
end

local function write_claim(id, claim)
  local row = {claim.age, claim.attempts, claim.leased and 1 or 0, claim.token}
  redis.call("HSET", CLAIMS, id, table.concat(row, " "))
end

local function is_dead(id)
  return redis.call("ZSCORE", DEAD, id) ~= false
end

local function is_live(id)
  return redis.call("HEXISTS", ITEMS, id) == 1 and not is_dead(id)
end

-- The end of what an id is about: nil where it is an end itself.
local function end_of(id)
  local alert, kind = id:match("^([^:]+):(%l+)")
  return END_OF[kind] and alert .. END_OF[kind]
end

-- The reminder of an alert that a resolve has to await, by what the resolve says.
local function last_reminder(id)
  local alert = id:match("^([^:]+):resolved$")
  if not alert then return nil end
  return alert .. ":reminder:" .. redis.call("HGET", ITEMS, id):match("^%S+ %S+ %S+ (%d+)")
end

local function waits(id)
  local alert, kind = id:match("^([^:]+):(%l+)")
  if kind == "stable" then return is_live(alert .. ":flapping") end
  if kind ~= "resolved" then return false end
  return is_live(alert .. ":triggered") or is_live(last_reminder(id))
end

-- Put a transition among those that are due, unless it has to wait.
local function offer(id)
  if not waits(id) then redis.call("ZADD", DUE, read_claim(id).age, id) end
end

-- After something is out of the way its end is due, if that is here and nobody has it.
local function unblock(id)
  local last = end_of(id)
  if last and is_live(last) and not redis.call("ZSCORE", LATER, last) then offer(last) end
end

local function drop(id)
  redis.call("HDEL", ITEMS, id)
  redis.call("HDEL", CLAIMS, id)
  redis.call("ZREM", DUE, id)
  redis.call("ZREM", LATER, id)
  redis.call("ZREM", DEAD, id)
end

local function give_up(id, at)
  redis.call("ZREM", DUE, id)
  redis.call("ZREM", LATER, id)
  redis.call("ZADD", DEAD, text(at), id)
  for _, oldest in ipairs(redis.call("ZRANGE", DEAD, 0, -1 - MAX_DEAD)) do
    drop(oldest)
  end
  unblock(id)
end

-- Say whether this is a reminder of an alert whose end is here.
local function is_too_late(id)
  local alert = id:match("^([^:]+):reminder:")
  return alert and is_live(alert .. ":resolved")
end

-- Bring everything up to date: what was put off until now is due, or dead.
local function sweep()
  local passed = redis.call("ZRANGEBYSCORE", LATER, "-inf", text(now), "WITHSCORES")
  for i = 1, #passed, 2 do
    local id, at = passed[i], tonumber(passed[i + 1])
    redis.call("ZREM", LATER, id)
    local claim = read_claim(id)
    if claim.attempts >= MAX_ATTEMPTS then
      give_up(id, at)
    elseif is_too_late(id) then
      drop(id)
      unblock(id)
    else
      offer(id)
    end
  end
end

-- Take a transition out that is not leased.  After sweep().
local function withdraw(id)
  if not is_live(id) then return end
  if not (read_claim(id).leased and redis.call("ZSCORE", LATER, id)) then drop(id) end
end

-- Bring a transition in, unless it is here already; one that was given up lives again.
local function enter(id, item)
  sweep()
  if not is_live(id) then
    drop(id)
    redis.call("HSET", ITEMS, id, item)
    local age = redis.call("HINCRBY", CLAIMS, "age", 1)
    write_claim(id, {age = age, attempts = 0, leased = false, token = ""})
    if last_reminder(id) then withdraw(last_reminder(id)) end
    offer(id)
  end
  -- What begins anew has not ended.
  if end_of(id) and not id:find(":reminder:", 1, true) then withdraw(end_of(id)) end
end
