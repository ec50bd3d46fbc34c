-- KEYS lease   ARGV the claim's mark
-- Returns 1 if the lease was ours and is dropped, else 0.
-- Cost: O(1); one round trip.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('UNLINK', KEYS[1])
