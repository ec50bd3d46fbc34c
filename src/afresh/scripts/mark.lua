-- After tag_state.lua.
-- KEYS stamp, writers   ARGV the transaction, ms until its mark lapses, ms to keep both names (long: a short ttl is evicted first)
-- Keeps the tag dirty; the same again renews, and brings back what was evicted. A mark never makes another's deadline come sooner.
-- Returns 1 if the transaction's mark is new, 0 if it was there.   Cost: O(log transactions); one round trip.
-- The set was evicted while the mark lived: we know of ourselves only, so the tag stays dirty for all the others until their last deadline.
if latest == 0 and marked > 0 then redis.call('ZADD', KEYS[2], marked, 'lost') end
local deadline = server_ms() + ARGV[2]
local is_new = redis.call('ZADD', KEYS[2], deadline, ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('SET', KEYS[1], string.format('D:%.0f', math.max(deadline, dirty)), 'PX', ARGV[3])
return is_new
