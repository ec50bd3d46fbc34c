-- KEYS value, lease, stamp   ARGV the claim's mark, envelope, ms to live (0 = for ever), a new stamp, its ms to live
-- What commit.lua does. What was stored is announced by the key's own stamp: a script that has written once is not refused for want of memory.
-- Returns 1 if stored and announced, 0 if the lease is not ours any more; or the server's error.
-- Cost: O(size of the envelope); one round trip.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
local set
if ARGV[3] == '0' then set = redis.pcall('SET', KEYS[1], ARGV[2]) else set = redis.pcall('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
redis.call('UNLINK', KEYS[2])
if type(set) == 'table' and set.err then return set end
redis.call('SET', KEYS[3], ARGV[4], 'PX', ARGV[5])
return 1
