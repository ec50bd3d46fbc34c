-- KEYS stamp   ARGV new stamp, least ms to live (0 = for ever)
-- Returns the stamp as it is now. Creates an absent one; lets one live longer, never shorter.
-- Cost: O(1); one round trip.
local now = redis.call('GET', KEYS[1])
local ms = tonumber(ARGV[2])
if not now then
  if ms > 0 then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) else redis.call('SET', KEYS[1], ARGV[1]) end
  return ARGV[1]
end
if ms > 0 then
  local left = redis.call('PTTL', KEYS[1])
  if left >= 0 and left < ms then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
else
  redis.call('PERSIST', KEYS[1])
end
return now
