-- Declare a bucket whole; answer 1, or 0 if it was lost again, or is another's to repair.
-- KEYS: the mark.  ARGV: the offset, the repair.
local mark = redis.call("GET", KEYS[1])
if mark == "whole" then return 1 end
if mark ~= "repair " .. ARGV[2] then return 0 end
redis.call("SET", KEYS[1], "whole")
return 1
