-- KEYS lease   ARGV the claim's mark, ms to live from now on
-- Lets a lease live on while its owner computes. Never brings one back: an invalidation, a write or another claim has ended it.
-- Returns 1 if the lease was ours and lives on, else 0.
-- Cost: O(1); one round trip.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
