-- Drop all values of a namespace, and the loads of them: their generation is over.
-- KEYS: the generation.  ARGV: the offset.
redis.call("DEL", KEYS[1])
