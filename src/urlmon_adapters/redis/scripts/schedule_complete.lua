-- Put a monitor's next run on its grid; answer 0 if the claim is lost.
-- Otherwise go on: alert_record.lua may follow, to do both or nothing.
-- The last three of KEYS: schedule_run.lua's.  The last two of ARGV: the monitor, the token.
-- Needs whole.lua, clock.lua and schedule_run.lua.
do
  local checked, token = ARGV[#ARGV - 1], ARGV[#ARGV]
  local run = read_run(checked)
  if not run or run.token ~= token then return 0 end
  if run.state == "claimed" then
    run.slot = math.max(
      after(run.slot, run.interval, run.phase), at_or_before(now, run.interval, run.phase))
    run.attempts, run.state = 0, "completed"
    write_run(checked, run, run.slot)
  elseif run.state ~= "completed" then
    return 0
  end
end
