-- Forget the failures up to an instant; answer watermark and failures now.
-- KEYS: the count.  ARGV: the offset, the instant, the ttl in microseconds.
-- Needs clock.lua and counter.lua.
local ends, ttl = tonumber(ARGV[2]), tonumber(ARGV[3])

local watermark, failures = read_count()
if ends >= watermark then
  watermark, failures = ends, 0
  write_count(watermark, failures, ttl)
end
return {text(watermark), text(failures)}
