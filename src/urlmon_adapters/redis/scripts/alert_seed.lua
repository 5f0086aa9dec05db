-- Store a state where there is none; answer the state now.
-- KEYS: the state.  ARGV: the offset, then fields and values.
if redis.call("EXISTS", KEYS[1]) == 0 then
  for i = 2, #ARGV, 2 do
    redis.call("HSET", KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
return redis.call("HGETALL", KEYS[1])
