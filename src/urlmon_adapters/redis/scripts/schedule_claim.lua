-- Lease what has been due for longest, or answer again what the same request was given.
-- Answers the token, and of each that the request holds: the monitor, the slot, the version, the
-- attempt, the end of the lease.
-- KEYS: the request, schedule_run.lua's.  ARGV: the offset, a token, how many to take, the lease in
-- microseconds.  Needs whole.lua, clock.lua, schedule_run.lua and schedule_request.lua.
local token, take, lease = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local function add(answer, monitor, run, ends)
  local at = #answer
  answer[at + 1], answer[at + 2], answer[at + 3] = monitor, text(run.slot), run.version
  answer[at + 4], answer[at + 5] = run.attempts, ends
end

local request = read_request()
if request then
  local answer = {request.token}
  for _, monitor in ipairs(request.monitors) do
    local run = read_run(monitor)
    if run and run.state == "claimed" and run.token == request.token then
      add(answer, monitor, run, text(redis.call("ZSCORE", QUEUE, monitor)))
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
local answer = {token}
if #monitors == 0 then return answer end

local rows, runs, queue = redis.call("HMGET", RUNS, unpack(monitors)), {}, {}
for i, monitor in ipairs(monitors) do
  local run = parse_run(rows[i])
  run.slot = math.max(run.slot, at_or_before(run, now))
  run.attempts, run.state, run.token = run.attempts + 1, "claimed", token
  add(answer, monitor, run, ends)
  runs[2 * i - 1], runs[2 * i] = monitor, format_run(run)
  queue[2 * i - 1], queue[2 * i] = ends, monitor
end
redis.call("HSET", RUNS, unpack(runs))
redis.call("ZADD", QUEUE, unpack(queue))
return answer
