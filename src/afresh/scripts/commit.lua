-- KEYS value, lease   ARGV the claim's mark, envelope, ms to live (0 = for ever)
-- Returns 1 if stored, 0 if the lease is not ours any more: the key was written or invalidated, or the lease lapsed.
-- Cost: O(size of the envelope); one round trip.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
if ARGV[3] == '0' then redis.call('SET', KEYS[1], ARGV[2]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
redis.call('UNLINK', KEYS[2])
return 1
