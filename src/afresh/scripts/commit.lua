-- KEYS value, lease   ARGV the claim's mark, envelope, ms to live (0 = for ever)
-- Drops the lease in any case: who waits need not wait for a server that is full.
-- Returns 1 if stored, 0 if the lease is not ours any more: the key was written or invalidated, or the lease lapsed; or the server's error.
-- Cost: O(size of the envelope); one round trip.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
local set
if ARGV[3] == '0' then set = redis.pcall('SET', KEYS[1], ARGV[2]) else set = redis.pcall('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
redis.call('UNLINK', KEYS[2])
if type(set) == 'table' and set.err then return set end
return 1
