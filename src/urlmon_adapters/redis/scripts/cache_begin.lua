-- Answer what is kept: {"value", body} or {"nothing"}; else {"load", token} to who may load, or
-- {"wait"} while another has that right and is in time.
-- KEYS: see cache.lua, which this needs.  ARGV: the offset, a token, how long others wait, and how
-- long a load is remembered, both in microseconds.
local turn, remembered = tonumber(ARGV[3]), tonumber(ARGV[4])

-- A hit writes nothing, and so works also where the memory is full.
local kept, body = find(redis.call("GET", GENERATION))
if kept then
  if body then return {"value", body} end
  return {"nothing"}
end
local generation = lasting(ARGV[2], remembered)
local load = redis.call("HMGET", LOAD, "generation", "until", "token")
local token = ARGV[2]
if load[1] == generation then
  if now < tonumber(load[2]) then return {"wait"} end
  -- Who is late may still keep what it loads: whoever comes first does.
  token = load[3]
end
redis.call("HSET", LOAD, "generation", generation, "until", text(now + turn), "token", token)
redis.call("PEXPIRE", LOAD, math.ceil(remembered / 1000))
return {"load", token}
