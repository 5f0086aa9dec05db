-- Take a transition out; answer 1, or 0 if this claim no longer may.
-- KEYS: outbox.lua's, the settlement.  ARGV: the offset, the transition's id, the claim's token.
local SETTLED = KEYS[7]
local id, token = ARGV[2], ARGV[3]
local DAY = 86400000
sweep()

local settled = redis.call("GET", SETTLED)
if settled == token then return 1 end
local claim = read_claim(id)
-- What nobody knows was settled so long ago that it is forgotten.
if not claim then return settled and 0 or 1 end
if is_dead(id) or claim.attempts == 0 or claim.token ~= token then return 0 end
take_out(id)
redis.call("SET", SETTLED, token, "PX", 2 * DAY)
return 1
