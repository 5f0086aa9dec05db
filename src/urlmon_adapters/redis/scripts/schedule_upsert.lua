-- Schedule a monitor, or learn of a newer version; answer 1, or 0 where a newer one is known.
-- KEYS: the version that was removed, schedule.lua's.  ARGV: the offset, the monitor, the interval,
-- the phase, the version, 1 for a new one to be due now.  Needs clock.lua and schedule.lua.
local monitor, version = ARGV[2], tonumber(ARGV[5])

local run = read_run(monitor)
local known = run and run.version or tonumber(redis.call("GET", KEYS[1]) or 0)
if version < known then return 0 end
if run and version == known then return 1 end

local new = {
  interval = tonumber(ARGV[3]),
  phase = tonumber(ARGV[4]),
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
if moves and (run or ARGV[6] == "0") then new.slot = after(new, now) end
write_run(monitor, new)
if moves then redis.call("ZADD", QUEUE, text(new.slot), monitor) end
return 1
