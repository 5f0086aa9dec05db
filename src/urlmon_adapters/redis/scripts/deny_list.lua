-- The list of denied tokens.  KEYS[1] is "<since when it is complete> <id of the server's run>",
-- KEYS[2] the end of a token's denial; needs clock.lua.
local MARK, DENIAL = KEYS[1], KEYS[2]

-- Return since when the list is complete: a server that was started anew, or took over from
-- another, has perhaps an older list, and one that lost all has no mark.
local function complete_since()
  local run = redis.call("INFO", "server"):match("run_id:(%w+)")
  local since, known = (redis.call("GET", MARK) or ""):match("^(%d+) (%w+)$")
  if known == run then return tonumber(since) end
  redis.call("SET", MARK, text(now) .. " " .. run)
  return now
end
