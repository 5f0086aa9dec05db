-- Apply an outcome to a monitor's state: the rules are those of urlmon.domain.alerting.decide.
-- Answers the kind of the decision, the transition or "", and the state or "".  Where there is a
-- transition, goes on: alert_enter.lua must follow, and what that needs.  Most outcomes have none,
-- and to make the functions of the outbox would take a fifth of their time.
-- KEYS: outbox.lua's, alert.lua's.  ARGV: the offset, the monitor, when it was due, 1 for a success,
-- the location, the episode that would begin, the policy, the cause.
-- Needs alert.lua.
local monitor, scheduled, success = ARGV[2], ARGV[3], ARGV[4] == "1"
local moment = tonumber(scheduled)
local location, episode, policy, cause = ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local MAX_STREAK = 20
local WINDOW = 2 ^ 20

local state, row = read_state(monitor)
local rules = read_policy(policy)
if state.policy ~= policy and state.policy ~= "" then
  local newest = read_policy(state.policy)
  if newest.version > rules.version then policy, rules = state.policy, newest end
end

local function answer(kind, transition)
  return {kind, transition or "", row}
end

local function counts(name)
  return rules.locations == "-" or rules.locations:find("," .. name .. ",", 1, true)
end

-- Count the outcome in.
if not counts(location) then return answer("foreign") end
local failures, successes, fails = 0, 0, false
local places, failing = {}, 0
for place in state.places:gmatch("[^,]+") do
  local name, watermark, failed, succeeded, failing_now =
    place:match("^(%S+) (%d+) (%d+) (%d+) ([01])$")
  if name == location then
    watermark = tonumber(watermark)
    if moment < watermark then return answer("stale") end
    if moment == watermark then
      local at, where = state.last:match("^%S+ %S+ %S+ %S+ %S+ (%S+) (%S+)")
      return answer("duplicate", at == scheduled and where == location and state.last or nil)
    end
    failures, successes, fails = tonumber(failed), tonumber(succeeded), failing_now == "1"
  elseif counts(name) then
    places[#places + 1] = place
    if failing_now == "1" then failing = failing + 1 end
  end
end
if success then
  failures, successes = 0, math.min(successes + 1, MAX_STREAK)
else
  failures, successes = math.min(failures + 1, MAX_STREAK), 0
end
if failures >= rules.failures then
  fails = true
elseif successes >= rules.recoveries then
  fails = false
end
if fails then failing = failing + 1 end
places[#places + 1] = location .. " " .. scheduled .. " " .. failures .. " " .. successes
  .. (fails and " 1" or " 0")
state.places, state.policy = table.concat(places, ","), policy

local quiet = moment < (tonumber(state.suppressed) or 0)
local before, was_down = state.status, state.down
state.down = failing >= rules.needed
local changed = before ~= "unknown" and state.down ~= was_down and not quiet
state.changes = (2 * state.changes + (changed and 1 or 0)) % WINDOW
if before ~= "flapping" then
  if state.down then
    state.status = "down"
  elseif before == "down" or success then
    state.status = "up"
  end
end
if not success then state.cause = cause end

-- The weight of the changes, times 100: see urlmon.domain.alert_policy.weigh.
local WHOLE = 1520
local function weigh()
  local changes, weight, newest = state.changes, 0, 95
  while changes > 0 do
    if changes % 2 == 1 then weight = weight + newest end
    changes, newest = math.floor(changes / 2), newest - 2
  end
  return 100 * weight
end

-- Begin or end what the state now asks for.
local kind, alert, number, why = nil, episode, 0, ""
if state.flapping ~= "-" then
  if not rules.low or weigh() <= WHOLE * rules.low then
    kind, alert = "stable", state.flapping
    state.status, state.flapping = state.down and "down" or "up", "-"
    state.held = state.down and state.open == "-" and episode or "-"
  end
elseif rules.high and not quiet and weigh() >= WHOLE * rules.high then
  kind, why = "flapping", state.cause
  state.status, state.flapping, state.held = "flapping", episode, "-"
elseif state.down and state.open == "-" then
  if quiet then
    if state.held == "-" then state.held = episode end
  else
    kind, why = "triggered", state.cause
    state.open, state.held, state.notified = episode, "-", scheduled
  end
elseif state.status == "up" and state.open ~= "-" then
  kind, alert, number = "resolved", state.open, state.reminders
  close(state)
elseif not state.down then
  state.held = "-"
end
if state.status ~= before then state.since = scheduled end

if kind then
  local item = {monitor, alert, kind, number, rules.rule, scheduled, location, why}
  state.last = table.concat(item, " ")
end
row = write_state(monitor, state)
if not kind then return answer("applied") end
