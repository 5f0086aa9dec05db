-- Put the transition into the outbox that alert_record.lua decided, and answer for it.
-- Needs clock.lua, outbox.lua and, just before these or this, alert_record.lua.
enter(alert .. ":" .. kind, state.last)
return answer("applied", state.last)
