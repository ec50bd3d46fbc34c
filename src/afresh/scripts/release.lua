-- KEYS holder, queue, waiters   ARGV token
-- Gives up the lock, if it is the token's, and its place in the line, if it has one. The fence stays, for the next holder's to be higher.
-- Returns 1 if the lock was the token's, else 0.
-- Cost: O(log waiters); one round trip.
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('UNLINK', KEYS[1])
