-- What a request was given in a bucket: "<end> <token> <monitors…>".
-- KEYS: the request, schedule.lua's.  Needs clock.lua and schedule.lua.
local REQUEST = KEYS[1]

local function read_request()
  local row = redis.call("GET", REQUEST)
  if not row then return nil end
  local ends, token, listed = row:match("^(%d+) (%S+) ?(.*)$")
  if now >= tonumber(ends) then return nil end
  local monitors = {}
  for monitor in listed:gmatch("%S+") do monitors[#monitors + 1] = monitor end
  return {token = token, monitors = monitors}
end

-- The token, and of each that the request still holds: the monitor, the slot, the version, the
-- attempt, the end of the lease.
local function held(request)
  local answer = {request.token}
  for _, monitor in ipairs(request.monitors) do
    local run = read_run(monitor)
    if run and run.state == "claimed" and run.token == request.token then
      answer[#answer + 1] = monitor
      answer[#answer + 1] = text(run.slot)
      answer[#answer + 1] = run.version
      answer[#answer + 1] = run.attempts
      answer[#answer + 1] = text(redis.call("ZSCORE", QUEUE, monitor))
    end
  end
  return answer
end
