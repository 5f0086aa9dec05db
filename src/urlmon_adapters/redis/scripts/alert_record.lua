-- Apply an outcome to a monitor's state: the rules are those of urlmon.domain.alerting.decide.
-- A field is there only while it has a value other than the default; "@<location>" is a location's
-- "<watermark> <failures> <successes> <1 while failing, else 0>".
-- Answers the kind of the decision, the transition as JSON or "", and the state.
-- KEYS: outbox.lua's, the state.  Needs clock.lua and outbox.lua.
local STATE = KEYS[6]
local scheduled, success, cause, location = ARGV[2], ARGV[3] == "1", ARGV[4], ARGV[5]
local failure_threshold, recovery_threshold = tonumber(ARGV[6]), tonumber(ARGV[7])
local quorum, rule, new_alert = tonumber(ARGV[8]), ARGV[9], ARGV[10]
local tenant, monitor = ARGV[11], ARGV[12]
local MAX_STREAK = 20

local state, fields = {}, redis.call("HGETALL", STATE)
for i = 1, #fields, 2 do state[fields[i]] = fields[i + 1] end

local function answer(kind, transition)
  return {kind, transition or "", redis.call("HGETALL", STATE)}
end

local function read_place(value)
  local watermark, failures, successes, failing = value:match("^(%d+) (%d+) (%d+) ([01])$")
  return {
    watermark = tonumber(watermark),
    failures = tonumber(failures),
    successes = tonumber(successes),
    failing = failing == "1",
  }
end

local place = {watermark = -1, failures = 0, successes = 0, failing = false}
if state["@" .. location] then place = read_place(state["@" .. location]) end
if tonumber(scheduled) < place.watermark then return answer("stale") end
if tonumber(scheduled) == place.watermark then
  local last = state.last and cjson.decode(state.last)
  local made_it = last and last.at == scheduled and last.location == location
  return answer("duplicate", made_it and state.last)
end

place.failures = success and 0 or math.min(place.failures + 1, MAX_STREAK)
place.successes = success and math.min(place.successes + 1, MAX_STREAK) or 0
if place.failures >= failure_threshold then
  place.failing = true
elseif place.successes >= recovery_threshold then
  place.failing = false
end
local row = {scheduled, place.failures, place.successes, place.failing and 1 or 0}
state["@" .. location] = table.concat(row, " ")

local failing = 0
for field, value in pairs(state) do
  if field:sub(1, 1) == "@" and read_place(value).failing then failing = failing + 1 end
end
local before = state.status
if failing >= quorum then
  state.status = "down"
elseif before == "down" or success then
  state.status = "up"
end
if state.status ~= before then state.since = scheduled end
if not success then state.cause = cause end

local kind, alert, why
local suppressed = state.suppressed_until and tonumber(scheduled) < tonumber(state.suppressed_until)
if state.status == "down" and not state.open_alert and not suppressed then
  kind, alert, why = "triggered", new_alert, state.cause or ""
  state.open_alert = alert
elseif state.status == "up" and state.open_alert then
  kind, alert, why = "resolved", state.open_alert, ""
  state.open_alert = nil
end
if kind then
  state.acknowledged = nil
  state.last = cjson.encode({
    tenant_id = tenant,
    monitor_id = monitor,
    alert_id = alert,
    kind = kind,
    rule = rule,
    at = scheduled,
    location = location,
    cause = why,
  })
end

-- What takes memory comes first: a full server then refuses the whole step.
for field, value in pairs(state) do
  if value ~= "" then redis.call("HSET", STATE, field, value) end
end
for _, field in ipairs({"open_alert", "acknowledged", "cause"}) do
  if (state[field] or "") == "" then redis.call("HDEL", STATE, field) end
end
if not kind then return answer("applied") end

local id = alert .. ":" .. kind
sweep()
if not is_live(id) then
  drop(id)
  redis.call("HSET", ITEMS, id, state.last)
  local age = redis.call("HINCRBY", CLAIMS, "age", 1)
  write_claim(id, {age = age, attempts = 0, leased = false, token = ""})
  if kind == "triggered" then redis.call("ZREM", DUE, alert .. ":resolved") end
  offer(id)
end
return answer("applied", state.last)
