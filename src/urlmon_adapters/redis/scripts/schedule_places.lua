-- What is known of a monitor beyond its checks.  Needs clock.lua and schedule.lua.
-- KEYS: the version that was removed, the hash of "<version> <locations…>" by monitor; then, of each
-- location that is listed at the end of ARGV, the runs and the queue.
local REMOVED, MONITORS = KEYS[1], KEYS[2]
local monitor = ARGV[2]

-- The keys of the locations that were passed, by name.
local passed, count = {}, (#KEYS - 2) / 2
for i = 1, count do
  passed[ARGV[#ARGV - count + i]] = {runs = KEYS[2 * i + 1], queue = KEYS[2 * i + 2]}
end

-- Return the version of the monitor and its locations; nil where it is not scheduled.
local function read_monitor()
  local row = redis.call("HGET", MONITORS, monitor)
  if not row then return nil end
  local version, listed = row:match("^(%d+) (.*)$")
  local locations = {}
  for location in listed:gmatch("%S+") do locations[#locations + 1] = location end
  return tonumber(version), locations
end

-- Return the locations whose keys were not passed.
local function not_passed(locations)
  local missing = {}
  for _, location in ipairs(locations) do
    if not passed[location] then missing[#missing + 1] = location end
  end
  return missing
end

local function take_off(location)
  redis.call("HDEL", passed[location].runs, monitor)
  redis.call("ZREM", passed[location].queue, monitor)
end
