-- Answer how many transitions are neither settled nor given up.
-- KEYS: outbox.lua's.  ARGV: the offset.
sweep()
return redis.call("HLEN", ITEMS) - redis.call("ZCARD", DEAD)
