-- Lease what has been due for longest, or answer again what the same request was given.
-- Answers what `held` does.
-- KEYS: the request, schedule.lua's.  ARGV: the offset, a token, how many to take, the lease in
-- microseconds.  Needs clock.lua, schedule.lua and schedule_request.lua.
local token, take, lease = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local request = read_request()
if request then return held(request) end
request = {token = token, monitors = {}}
local ends = text(now + lease)
if take > 0 then
  request.monitors = redis.call("ZRANGEBYSCORE", QUEUE, "-inf", text(now), "LIMIT", 0, take)
end
-- The end stands in the row; the expiry only cleans up.
local row = ends .. " " .. token .. " " .. table.concat(request.monitors, " ")
redis.call("SET", REQUEST, row, "PX", math.ceil(lease / 1000) + 1000)
for _, monitor in ipairs(request.monitors) do
  local run = read_run(monitor)
  run.slot = math.max(run.slot, at_or_before(run, now))
  run.attempts, run.state, run.token = run.attempts + 1, "claimed", token
  write_run(monitor, run)
  redis.call("ZADD", QUEUE, ends, monitor)
end
return held(request)
