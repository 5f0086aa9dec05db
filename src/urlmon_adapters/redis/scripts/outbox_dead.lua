-- Answer the newest dead letters, newest first: the transition, the attempts, when it was given up.
-- KEYS: outbox.lua's.  ARGV: the offset, the limit.
sweep()
local answer = {}
local newest = redis.call("ZREVRANGE", DEAD, 0, ARGV[2] - 1, "WITHSCORES")
for i = 1, #newest, 2 do
  answer[#answer + 1] = redis.call("HGET", ITEMS, newest[i])
  answer[#answer + 1] = read_claim(newest[i]).attempts
  answer[#answer + 1] = newest[i + 1]
end
return answer
