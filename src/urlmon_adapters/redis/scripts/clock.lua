-- The time that leases are measured by: the server's, in microseconds, and an offset that is 0
-- outside of tests.  Asked for once, because it goes on while a script runs.
-- Every number that leaves a script goes through `text`: Lua would round what has 15 digits.
local function text(number)
  return string.format("%.0f", number)
end

local time = redis.call("TIME")
local now = time[1] * 1000000 + time[2] + ARGV[1]
