-- The outbox of a bucket.  KEYS[1..6] are what `Keys.outbox` returns; needs clock.lua.
--   items   id -> "<tenant>:<monitor> <alert> <kind> <number> <rule> <at> <location or -> <cause>"
--   claims  id -> "<age> <attempts> <1 while it is leased, else 0> <token of the newest claim>"
--   due     ids by age: what may be claimed now
--   later   ids by the time at which they are due (again), or dead
--   dead    ids by the time at which they were given up
--   lines   monitor -> its ids that are neither settled nor given up, in their order
-- An id is "<alert>:<kind>", and "<alert>:reminder:<number>".  Only the first of a line is in due or
-- later: what comes after it waits until it is out of the way.
local ITEMS, CLAIMS, DUE, LATER, DEAD, LINES =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local MAX_ATTEMPTS = 10
local MAX_DEAD = 1000
local END_OF = {triggered = ":resolved", flapping = ":stable"}

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

local function offer(id)
  redis.call("ZADD", DUE, read_claim(id).age, id)
end

-- Take a transition off the line of its monitor: the next has its turn.
local function leave(id)
  local monitor, rest = redis.call("HGET", ITEMS, id):match("^%S+"), {}
  local line = redis.call("HGET", LINES, monitor)
  for each in line:gmatch("%S+") do
    if each ~= id then rest[#rest + 1] = each end
  end
  if #rest == 0 then
    redis.call("HDEL", LINES, monitor)
  else
    redis.call("HSET", LINES, monitor, table.concat(rest, " "))
    if line:match("^%S+") == id then offer(rest[1]) end
  end
end

local function drop(id)
  redis.call("HDEL", ITEMS, id)
  redis.call("HDEL", CLAIMS, id)
  redis.call("ZREM", DUE, id)
  redis.call("ZREM", LATER, id)
  redis.call("ZREM", DEAD, id)
end

-- Take a transition out that is live.
local function take_out(id)
  leave(id)
  drop(id)
end

local function give_up(id, at)
  redis.call("ZREM", DUE, id)
  redis.call("ZREM", LATER, id)
  redis.call("ZADD", DEAD, text(at), id)
  leave(id)
  for _, oldest in ipairs(redis.call("ZRANGE", DEAD, 0, -1 - MAX_DEAD)) do
    drop(oldest)
  end
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
    if read_claim(id).attempts >= MAX_ATTEMPTS then
      give_up(id, at)
    elseif is_too_late(id) then
      take_out(id)
    else
      offer(id)
    end
  end
end

-- Take a transition out, unless it is leased.  After sweep().
local function withdraw(id)
  if not is_live(id) then return end
  if not (read_claim(id).leased and redis.call("ZSCORE", LATER, id)) then take_out(id) end
end

-- Bring a transition in, unless it is here already; one that was given up lives again.
local function enter(id, item)
  sweep()
  local monitor, number = item:match("^(%S+) %S+ %S+ (%S+)")
  local alert, kind = id:match("^([^:]+):(%l+)")
  if not is_live(id) then
    drop(id)
    redis.call("HSET", ITEMS, id, item)
    local age = redis.call("HINCRBY", CLAIMS, "age", 1)
    write_claim(id, {age = age, attempts = 0, leased = false, token = ""})
    local line = redis.call("HGET", LINES, monitor)
    redis.call("HSET", LINES, monitor, line and line .. " " .. id or id)
    if not line then offer(id) end
  end
  -- What begins anew has not ended, and of what has ended nobody is reminded.
  if END_OF[kind] then withdraw(alert .. END_OF[kind]) end
  if kind == "resolved" then withdraw(alert .. ":reminder:" .. number) end
end
