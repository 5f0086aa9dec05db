-- The schedule of a bucket: the rules are those of urlmon.domain.scheduling.Grid.
-- The last two of KEYS are what `Keys.schedule` returns; needs clock.lua.
--   runs   monitor -> "<interval> <phase> <version> <slot> <attempts> <state> <newest token>"
--   queue  monitors by the time at which they can be claimed
-- A monitor is "<tenant>:<id>".  The slot is when it is due, or, while it is claimed, was; its state
-- is waiting, claimed, completed or released.  The last two tell a repeat that its work is done.
local RUNS, QUEUE = KEYS[#KEYS - 1], KEYS[#KEYS]

local function read_run(monitor)
  local row = redis.call("HGET", RUNS, monitor)
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

local function write_run(monitor, run)
  local row = {
    text(run.interval), text(run.phase), text(run.version), text(run.slot), run.attempts,
    run.state, run.token,
  }
  redis.call("HSET", RUNS, monitor, table.concat(row, " "))
end

local function at_or_before(run, moment)
  return moment - (moment - run.phase) % run.interval
end

local function after(run, moment)
  return at_or_before(run, moment) + run.interval
end
