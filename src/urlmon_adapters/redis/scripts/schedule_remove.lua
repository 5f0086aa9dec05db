-- Take a monitor off the schedule, and remember the version, so that no older one brings it back.
-- Answer 1; where it has locations whose keys were not passed, answer these and do nothing.
-- KEYS: schedule_places.lua's.  ARGV: the offset, the monitor, the locations.
-- Needs clock.lua, schedule.lua and schedule_places.lua.
local DAY = 86400000

local version, locations = read_monitor()
if not version then return 1 end
local missing = not_passed(locations)
if #missing > 0 then return missing end
redis.call("SET", REMOVED, text(version), "PX", 2 * DAY)
for _, location in ipairs(locations) do take_off(location) end
redis.call("HDEL", MONITORS, monitor)
return 1
