-- End a session.
-- KEYS: the user.  ARGV: the offset, the session's id.  Needs clock.lua and session.lua.
revoke(ARGV[2])
