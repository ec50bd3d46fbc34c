-- After tag_state.lua.
-- KEYS stamp, writers   ARGV new stamp, least ms to live (0 = for ever)
-- Returns the stamp as it is now, or a mark while the tag is dirty. Creates an absent one, also in place of a mark that has lapsed: what was
-- stored before that transaction never comes back. Lets one live longer, never shorter. Gives each twice the time, since every change of
-- a lifetime is pushed to all near tiers, which drop what depends on the stamp: that must not happen at every miss.
-- Cost: O(1); one round trip.
if dirty > 0 then return string.format('D:%.0f', dirty) end
local ms, twice = tonumber(ARGV[2]), string.format('%.0f', 2 * ARGV[2])
if not clean then
  if ms > 0 then redis.call('SET', KEYS[1], ARGV[1], 'PX', twice) else redis.call('SET', KEYS[1], ARGV[1]) end
  return ARGV[1]
end
if ms > 0 then
  local left = redis.call('PTTL', KEYS[1])
  if left >= 0 and left < ms then redis.call('PEXPIRE', KEYS[1], twice) end
else
  redis.call('PERSIST', KEYS[1])
end
return stamp
