-- Schedule a monitor, or learn of a newer version; answer 1, or 0 where a newer one is known.
-- Where it is to be taken off locations whose keys were not passed, answer these and do nothing.
-- KEYS: schedule_places.lua's.  ARGV: the offset, the monitor, the interval, the phase, the version,
-- 1 to be due now where a location is new, how many of the locations it has; these and the others.
-- Needs clock.lua, schedule.lua and schedule_places.lua.
local interval, phase, version = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local at_once, first, last = ARGV[6] == "1", 8, 7 + tonumber(ARGV[7])

local known, locations = read_monitor()
if version < (known or tonumber(redis.call("GET", REMOVED) or 0)) then return 0 end
local missing = not_passed(locations or {})
if #missing > 0 then return missing end
if version ~= known then
  local has = table.concat(ARGV, " ", first, last)
  for _, location in ipairs(locations or {}) do
    if not (" " .. has .. " "):find(" " .. location .. " ", 1, true) then take_off(location) end
  end
  redis.call("HSET", MONITORS, monitor, text(version) .. " " .. has)
  locations = {unpack(ARGV, first, last)}
end

-- Where the version is known, this gives a location back what it has lost, if it has.
for _, location in ipairs(locations) do
  local keys = passed[location]
  local run = parse_run(redis.call("HGET", keys.runs, monitor))
  if not run or run.version < version then
    local new = {
      interval = interval,
      phase = phase,
      version = version,
      slot = now - now % 1000,
      attempts = 0,
      state = "waiting",
      token = "-",
    }
    -- The slot of a monitor that is due or claimed has come: it stays.
    local moves = true
    if run then
      moves = run.interval ~= new.interval and run.slot > now
      new.slot, new.attempts, new.state, new.token = run.slot, run.attempts, run.state, run.token
    end
    if moves and (run or not at_once) then new.slot = after(now, interval, phase) end
    redis.call("HSET", keys.runs, monitor, format_run(new))
    if moves then redis.call("ZADD", keys.queue, text(new.slot), monitor) end
  end
end
return 1
