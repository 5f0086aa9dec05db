-- Count a check; answer watermark and failures now.
-- KEYS: the count.  ARGV: the offset, when the check was due, 1 for a success or 0, the ttl in
-- microseconds.  Needs clock.lua and counter.lua.
local scheduled, success, ttl = tonumber(ARGV[2]), ARGV[3] == "1", tonumber(ARGV[4])

local watermark, failures = read_count()
if scheduled > watermark then
  watermark, failures = scheduled, success and 0 or math.min(failures + 1, MAX_FAILURES)
  write_count(watermark, failures, ttl)
end
return {text(watermark), text(failures)}
