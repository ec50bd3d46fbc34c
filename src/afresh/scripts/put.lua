-- KEYS value, lease   ARGV envelope, ms to live (0 = for ever)
-- Stores the entry and drops the lease: a compute that began before this write stores nothing over it. A full server refuses the entry;
-- then the old one goes, too: it is not what was set.
-- Returns 1, or the server's error.   Cost: O(size of the envelope); one round trip.
local set
if ARGV[2] == '0' then set = redis.pcall('SET', KEYS[1], ARGV[1]) else set = redis.pcall('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
redis.call('UNLINK', KEYS[2])
if type(set) == 'table' and set.err then
  redis.call('UNLINK', KEYS[1])
  return set
end
return 1
