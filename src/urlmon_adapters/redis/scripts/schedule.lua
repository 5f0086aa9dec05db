-- The schedule of a bucket: the rules are those of urlmon.domain.scheduling.Grid.
-- Needs clock.lua.  What `Keys.schedule` returns, of a location:
--   runs   monitor -> "<interval> <phase> <version> <slot> <attempts> <state> <newest token>"
--   queue  monitors by the time at which they can be claimed
-- A monitor is "<tenant>:<id>".  The slot is when it is due, or, while it is claimed, was; its state
-- is waiting, claimed, completed or released.  The last two tell a repeat that its work is done.
local function parse_run(row)
  if not row then return nil end
  local interval, phase, version, slot, attempts, state, token =
    row:match("^(%d+) (%d+) (%d+) (%d+) (%d+) (%l+) (%S+)$")
  if not token then error("a run of another form") end
  return {
    interval = tonumber(interval),
    phase = tonumber(phase),
    version = tonumber(version),
    slot = tonumber(slot),
    attempts = tonumber(attempts),
    state = state,
    token = token,
  }
end

local function format_run(run)
  return string.format("%.0f %.0f %.0f %.0f %d %s %s", run.interval, run.phase, run.version,
    run.slot, run.attempts, run.state, run.token)
end

local function at_or_before(moment, interval, phase)
  return moment - (moment - phase) % interval
end

local function after(moment, interval, phase)
  return at_or_before(moment, interval, phase) + interval
end
