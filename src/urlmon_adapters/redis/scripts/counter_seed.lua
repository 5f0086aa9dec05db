-- Store a count where there is none; answer watermark and failures now.
-- KEYS: the count.  ARGV: the offset, watermark, failures, the ttl in microseconds.
-- Needs clock.lua and counter.lua.
local watermark, failures = read_count()
if watermark < 0 then
  watermark, failures = tonumber(ARGV[2]), tonumber(ARGV[3])
  write_count(watermark, failures, tonumber(ARGV[4]))
end
return {text(watermark), text(failures)}
