-- The failures in a row of a monitor: the rules are those of urlmon.domain.counters.
-- KEYS[1] is "<end> <watermark> <failures>"; needs clock.lua.
local COUNT = KEYS[1]
local MAX_FAILURES = 2147483647

-- Return watermark and failures as numbers; -1 and 0 where nothing is known.
local function read_count()
  local row = redis.call("GET", COUNT)
  if not row then return -1, 0 end
  local ends, watermark, failures = row:match("^(%d+) (%d+) (%d+)$")
  if now >= tonumber(ends) then return -1, 0 end
  return tonumber(watermark), tonumber(failures)
end

local function write_count(watermark, failures, ttl)
  local row = {text(now + ttl), text(watermark), text(failures)}
  -- The end stands in the row; the expiry only cleans up.
  redis.call("SET", COUNT, table.concat(row, " "), "PX", math.ceil(ttl / 1000) + 1000)
end
