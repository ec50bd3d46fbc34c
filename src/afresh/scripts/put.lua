-- KEYS value, lease   ARGV envelope, ms to live (0 = for ever)
-- Stores the entry and drops the lease: a compute that began before this write stores nothing over it. Returns 1.
-- Cost: O(size of the envelope); one round trip.
if ARGV[2] == '0' then redis.call('SET', KEYS[1], ARGV[1]) else redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
redis.call('UNLINK', KEYS[2])
return 1
