-- The outbox of a bucket.  KEYS[1..5] are what `Keys.outbox` returns; needs clock.lua.
--   items   id -> the transition, as JSON
--   claims  id -> "<age> <attempts> <1 while it is leased, else 0> <token of the newest claim>"
--   due     ids by age: what may be claimed now
--   later   ids by the time at which they are due (again), or dead
--   dead    ids by the time at which they were given up
-- The end of an alert is in none of the last three while the beginning is still to be settled.
local ITEMS, CLAIMS, DUE, LATER, DEAD = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local MAX_ATTEMPTS = 10
local MAX_DEAD = 1000

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

-- Put a transition among those that are due, unless it has to wait for the beginning.
local function offer(id)
  local alert = id:match("^(.*):resolved$")
  if not (alert and is_live(alert .. ":triggered")) then
    redis.call("ZADD", DUE, read_claim(id).age, id)
  end
end

-- After the beginning is out of the way, the end is due, if it is here and nobody has it.
local function unblock(id)
  local alert = id:match("^(.*):triggered$")
  local resolved = alert and alert .. ":resolved"
  if resolved and is_live(resolved) and not redis.call("ZSCORE", LATER, resolved) then
    offer(resolved)
  end
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

-- Bring everything up to date: what was put off until now is due, or dead.
local function sweep()
  local passed = redis.call("ZRANGEBYSCORE", LATER, "-inf", text(now), "WITHSCORES")
  for i = 1, #passed, 2 do
    local id, at = passed[i], tonumber(passed[i + 1])
    redis.call("ZREM", LATER, id)
    local claim = read_claim(id)
    if claim.attempts >= MAX_ATTEMPTS then
      give_up(id, at)
    else
      offer(id)
    end
  end
end
