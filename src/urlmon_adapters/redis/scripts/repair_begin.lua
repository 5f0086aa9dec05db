-- Begin to repair a bucket; answer 1, or 0 if it is whole.
-- KEYS: the mark.  ARGV: the offset, the repair.
if redis.call("GET", KEYS[1]) == "whole" then return 0 end
redis.call("SET", KEYS[1], "repair " .. ARGV[2])
return 1
