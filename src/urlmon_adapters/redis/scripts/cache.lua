-- A value of a cache, and the generation of its namespace.  KEYS[1..3] are what `Keys.cached`
-- returns; needs clock.lua.
--   generation  random text; without it, or with another one, nothing of the namespace is valid
--   value       generation, until, and body unless it is known that there is nothing
--   load        generation, until, and the token that whoever loads shows: it is there from the
--               first who loads until something is kept or dropped
-- That a key is lost makes a miss, and never brings a value back.
local GENERATION, VALUE, LOAD = KEYS[1], KEYS[2], KEYS[3]

-- Return the end and the body of what is kept, if it is valid.
local function find(generation)
  local row = redis.call("HMGET", VALUE, "generation", "until", "body")
  if generation and row[1] == generation and now < tonumber(row[2]) then
    return row[2], row[3]
  end
end

-- Return the generation, begun by `token` where there is none; it will last for so long.
local function lasting(token, microseconds)
  local milliseconds = math.ceil(microseconds / 1000) + 1000
  redis.call("SET", GENERATION, token, "NX")
  if redis.call("PTTL", GENERATION) < milliseconds then
    redis.call("PEXPIRE", GENERATION, milliseconds)
  end
  return redis.call("GET", GENERATION)
end

-- Keep a body, or that there is nothing, in place of what is there; no load outlives that.
local function keep(generation, ttl, body)
  redis.call("DEL", VALUE, LOAD)
  redis.call("HSET", VALUE, "generation", generation, "until", text(now + ttl))
  if body then redis.call("HSET", VALUE, "body", body) end
  -- The end stands in the row; the expiry only cleans up.
  redis.call("PEXPIRE", VALUE, math.ceil(ttl / 1000) + 1000)
end
