-- Put into the outbox what is owed by now: the rules are those of urlmon.domain.owed.tell_owed.
-- Goes on: outbox_claim.lua may follow.
-- KEYS: outbox.lua's, alert.lua's.  Needs clock.lua, outbox.lua, alert.lua and alert_tell.lua.
do
  -- The rest of very many has its turn at the next claim: no script runs for long.
  local MOST = 100
  sweep()
  for _, monitor in
    ipairs(redis.call("ZRANGEBYSCORE", OWED, "-inf", text(now), "LIMIT", 0, MOST))
  do
    local state = read_state(monitor)
    local kind, alert, number, cause = state.kind, state.open, 0, state.cause
    local busy = false
    if kind == "reminder" then
      busy = redis.call("HEXISTS", LINES, monitor) == 1
      if not busy then state.reminders = state.reminders + 1 end
      number, state.notified = state.reminders, text(now)
    elseif kind == "triggered" then
      alert = state.held
      state.open, state.held, state.notified = alert, "-", text(now)
    else
      number, cause = state.reminders, ""
      close(state)
    end
    write_state(monitor, state)
    if not busy then
      tell(monitor, alert, kind, number, rule_of(state), text(now), "-", cause)
    end
  end
end
