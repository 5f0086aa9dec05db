-- Change nothing where the bucket was lost and not repaired: what is not there is unknown then.
-- The last of KEYS: `Keys.whole`.
if redis.call("GET", KEYS[#KEYS]) ~= "whole" then
  return redis.error_reply("LOST what was here")
end
