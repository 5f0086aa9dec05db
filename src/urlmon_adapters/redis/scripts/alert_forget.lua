-- Drop a state.
-- KEYS: the state.
redis.call("DEL", KEYS[1])
