-- Give a transition back; answer 1, or 0 if this claim no longer may.
-- KEYS: outbox.lua's.  ARGV: the offset, the transition's id, the token, the delay in microseconds.
local id, token, delay = ARGV[2], ARGV[3], tonumber(ARGV[4])
sweep()

local claim = read_claim(id)
if not claim or claim.attempts == 0 or claim.token ~= token then return 0 end
-- A repeat finds its work done; a lease that ran out for the last time is no longer given back.
if not claim.leased then return 1 end
if is_dead(id) then return 0 end
claim.leased = false
write_claim(id, claim)
if claim.attempts >= MAX_ATTEMPTS then
  give_up(id, now)
else
  redis.call("ZREM", DUE, id)
  redis.call("ZADD", LATER, text(is_too_late(id) and now or now + delay), id)
end
return 1
