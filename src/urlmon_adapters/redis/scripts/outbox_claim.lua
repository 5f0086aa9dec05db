-- Lease what is due, or answer again what the same request was given.
-- Answers the request's limit; how many it was given here; and of each that it still has: the
-- transition, the token, the attempt, the end of the lease.  Asked to take 0 it only looks: where
-- something is due it answers 0, and where nothing is due the request has got nothing.
-- KEYS: outbox.lua's, alert.lua's, the request.  ARGV: the offset, a token, the request's limit,
-- how many of them to take here, the lease in microseconds.  Needs clock.lua, outbox.lua and alert_owed.lua,
-- which has swept.
local REQUEST = KEYS[9]
local token, limit, take, lease = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

local function read_request()
  local row = redis.call("GET", REQUEST)
  if not row then return nil end
  local ends, known_limit, known_token, listed = row:match("^(%d+) (%d+) (%S+) (.*)$")
  if now >= tonumber(ends) then return nil end
  local ids = {}
  for id in listed:gmatch("%S+") do ids[#ids + 1] = id end
  return {ends = ends, limit = known_limit, token = known_token, ids = ids}
end

local request = read_request()
if not request then
  request = {ends = text(now + lease), limit = limit, token = token, ids = {}}
  if take > 0 then
    request.ids = redis.call("ZRANGE", DUE, 0, take - 1)
  elseif redis.call("ZCARD", DUE) > 0 then
    return {0}
  end
  for _, id in ipairs(request.ids) do
    local claim = read_claim(id)
    claim.attempts, claim.leased, claim.token = claim.attempts + 1, true, token
    write_claim(id, claim)
    redis.call("ZREM", DUE, id)
    redis.call("ZADD", LATER, request.ends, id)
  end
  local row = {request.ends, limit, token, table.concat(request.ids, " ")}
  -- The end stands in the row; the expiry only cleans up.
  redis.call("SET", REQUEST, table.concat(row, " "), "PX", math.ceil(lease / 1000) + 1000)
end

local answer = {tonumber(request.limit), #request.ids}
for _, id in ipairs(request.ids) do
  local claim = read_claim(id)
  if claim and claim.leased and claim.token == request.token then
    answer[#answer + 1] = redis.call("HGET", ITEMS, id)
    answer[#answer + 1] = request.token
    answer[#answer + 1] = claim.attempts
    answer[#answer + 1] = request.ends
  end
end
return answer
