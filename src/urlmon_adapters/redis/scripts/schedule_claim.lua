-- Lease what has been due for longest, or answer again what the same request was given.
-- Answers ends of leases, and after each the monitors that the request holds until then, each
-- followed by its run as it is kept.
-- KEYS: the request, schedule_run.lua's.  ARGV: the offset, a token, how many to take, the lease in
-- microseconds.  Needs whole.lua, clock.lua, schedule_run.lua and schedule_request.lua.
local token, take, lease = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local request = read_request()
if request then
  local answer = {}
  for _, monitor in ipairs(request.monitors) do
    local row = redis.call("HGET", RUNS, monitor)
    local run = parse_run(row)
    if run and run.state == "claimed" and run.token == request.token then
      answer[#answer + 1] = text(redis.call("ZSCORE", QUEUE, monitor))
      answer[#answer + 1] = {monitor, row}
    end
  end
  return answer
end

local ends, monitors = text(now + lease), {}
if take > 0 then
  monitors = redis.call("ZRANGEBYSCORE", QUEUE, "-inf", text(now), "LIMIT", 0, take)
end
-- The end stands in the row; the expiry only cleans up.
local row = ends .. " " .. token .. " " .. table.concat(monitors, " ")
redis.call("SET", REQUEST, row, "PX", math.ceil(lease / 1000) + 1000)
if #monitors == 0 then return {} end

local rows, runs, queue = redis.call("HMGET", RUNS, unpack(monitors)), {}, {}
for i, monitor in ipairs(monitors) do
  -- As parse_run and format_run do, without what stays: this is done most often of all.
  local head, interval, phase, slot, attempts =
    (rows[i] or ""):match("^((%d+) (%d+) %d+) (%d+) (%d+) %l")
  if not attempts then error("a run of another form") end
  local present = at_or_before(now, interval, phase)
  if present > tonumber(slot) then slot = text(present) end
  runs[2 * i - 1] = monitor
  runs[2 * i] = head .. " " .. slot .. " " .. attempts + 1 .. " claimed " .. token
  queue[2 * i - 1], queue[2 * i] = ends, monitor
end
redis.call("HSET", RUNS, unpack(runs))
redis.call("ZADD", QUEUE, unpack(queue))
return {ends, runs}
