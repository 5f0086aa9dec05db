-- The alert states of a bucket: the rules are those of urlmon.domain.alerting and .owed.
-- KEYS[7..8] are what `Keys.alerts` returns.
--   states  monitor -> its state: parts that a NUL separates, as no text holds one
--             "<status> <1 while down, else 0> <since> <changes> <flapping> <open alert>
--               <1 if acknowledged, else 0> <reminders> <notified at> <held alert> <suppressed until>"
--             the policy, as read_policy reads it
--             of each location "<name> <watermark> <failures> <successes> <1 while failing, else 0>",
--               separated by commas
--             the newest transition that an outcome decided, as in items
--             the cause
--   owed    monitors by when something is to be told of them though no outcome comes
-- A monitor is "<tenant>:<id>"; "-" stands for nothing; a monitor that is unknown has no state.
local STATES, OWED = KEYS[7], KEYS[8]
local STATE = "^(%l+) ([01]) (%S+) (%d+) (%S+) (%S+) ([01]) (%d+) (%S+) (%S+) (%S+)"
  .. "%z([^%z]*)%z([^%z]*)%z([^%z]*)%z(.*)$"
local UNKNOWN = "unknown 0 - 0 - - 0 0 - - -\0\0\0\0"

local function parse(row)
  local status, down, since, changes, flapping, open, acknowledged, reminders, notified, held,
    suppressed, policy, places, last, cause = row:match(STATE)
  if not cause then error("a state of another form") end
  return {
    status = status, down = down == "1", since = since, changes = tonumber(changes),
    flapping = flapping, open = open, acknowledged = acknowledged,
    reminders = tonumber(reminders), notified = notified, held = held, suppressed = suppressed,
    policy = policy, places = places, last = last, cause = cause,
  }
end

local function format(state)
  return state.status .. " " .. (state.down and 1 or 0) .. " " .. state.since .. " "
    .. state.changes .. " " .. state.flapping .. " " .. state.open .. " " .. state.acknowledged
    .. " " .. state.reminders .. " " .. state.notified .. " " .. state.held .. " "
    .. state.suppressed .. "\0" .. state.policy .. "\0" .. state.places .. "\0" .. state.last
    .. "\0" .. state.cause
end

local function read_policy(row)
  local version, failures, recoveries, needed, low, high, interval, rule, locations =
    row:match("^(%d+) (%d+) (%d+) %d+ (%d+) (%S+) (%S+) (%S+) (%S+) (%S+)$")
  return {
    version = tonumber(version), failures = tonumber(failures), recoveries = tonumber(recoveries),
    needed = tonumber(needed), low = tonumber(low), high = tonumber(high),
    interval = tonumber(interval), rule = rule, locations = locations,
  }
end

-- What is owed to a monitor, and since when: nothing where nothing is.
local function owed(state)
  local quiet = tonumber(state.suppressed) or 0
  if state.status == "up" and state.open ~= "-" then return "resolved", 0 end
  if state.status ~= "down" then return nil end
  if state.open == "-" then
    if state.held ~= "-" then return "triggered", quiet end
    return nil
  end
  if state.acknowledged == "1" or state.notified == "-" or state.policy == "" then return nil end
  local interval = tonumber(state.policy:match("^%d+ %d+ %d+ %d+ %d+ %S+ %S+ (%S+)"))
  if interval then return "reminder", math.max(tonumber(state.notified) + interval, quiet) end
end

-- How a monitor stands, and as it is kept: "" where nothing is.
local function read_state(monitor)
  local row = redis.call("HGET", STATES, monitor)
  local state = parse(row or UNKNOWN)
  state.kind, state.at = owed(state)
  return state, row or ""
end

-- Keep a state, and when something is owed to it; return it as it is kept, "" for nothing.
local function write_state(monitor, state)
  local row = format(state)
  -- What takes memory comes first: a full server then refuses the whole step.
  if row == UNKNOWN then
    redis.call("HDEL", STATES, monitor)
    row = ""
  else
    redis.call("HSET", STATES, monitor, row)
  end
  local kind, at = owed(state)
  if not kind then
    if state.kind then redis.call("ZREM", OWED, monitor) end
  elseif at ~= state.at then
    redis.call("ZADD", OWED, string.format("%.0f", at), monitor)
  end
  return row
end

local function close(state)
  state.open, state.acknowledged, state.reminders, state.notified = "-", "0", 0, "-"
end
