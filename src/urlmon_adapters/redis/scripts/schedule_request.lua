-- What a request was given in a bucket: "<end> <token> <monitors…>".
-- KEYS: the request, schedule_run.lua's.  Needs clock.lua.
local REQUEST = KEYS[1]

local function read_request()
  local row = redis.call("GET", REQUEST)
  if not row then return nil end
  local ends, token, listed = row:match("^(%d+) (%S+) ?(.*)$")
  if now >= tonumber(ends) then return nil end
  local monitors = {}
  for monitor in listed:gmatch("%S+") do monitors[#monitors + 1] = monitor end
  return {token = token, monitors = monitors}
end
