-- Lease what has been due for longest, or answer again what the same request was given.
-- Answers the token, and of each that the request holds: the monitor, the slot, the version, the
-- attempt, the end of the lease.
-- KEYS: the request, schedule_run.lua's.  ARGV: the offset, a token, how many to take, the lease in
-- microseconds.  Needs whole.lua, clock.lua, schedule_run.lua and schedule_request.lua.
local token, take, lease = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local function add(answer, monitor, slot, version, attempts, ends)
  local at = #answer
  answer[at + 1], answer[at + 2], answer[at + 3] = monitor, slot, version
  answer[at + 4], answer[at + 5] = attempts, ends
end

local request = read_request()
if request then
  local answer = {request.token}
  for _, monitor in ipairs(request.monitors) do
    local run = read_run(monitor)
    if run and run.state == "claimed" and run.token == request.token then
      local ends = text(redis.call("ZSCORE", QUEUE, monitor))
      add(answer, monitor, text(run.slot), run.version, run.attempts, ends)
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
  -- As parse_run and format_run do, without what stays: this is done most often of all.
  local head, interval, phase, version, slot, attempts =
    (rows[i] or ""):match("^((%d+) (%d+) (%d+)) (%d+) (%d+) %l+ %S+$")
  if not attempts then error("a run of another form") end
  local present = at_or_before({interval = tonumber(interval), phase = tonumber(phase)}, now)
  if present > tonumber(slot) then slot = text(present) end
  attempts = attempts + 1
  add(answer, monitor, slot, version, attempts, ends)
  runs[2 * i - 1] = monitor
  runs[2 * i] = head .. " " .. slot .. " " .. attempts .. " claimed " .. token
  queue[2 * i - 1], queue[2 * i] = ends, monitor
end
redis.call("HSET", RUNS, unpack(runs))
redis.call("ZADD", QUEUE, unpack(queue))
return answer
