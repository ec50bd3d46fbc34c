-- After tag_state.lua.
-- KEYS stamp, writers   ARGV the transaction, new stamp, its ms to live
-- Ends a transaction's mark. The last one out renews the stamp: what was computed during the transaction, or before it, is not served.
-- If the mark was not there, it had lapsed, and the stamp of now is renewed, too; or the set was evicted, and others may be in it still:
-- then the tag stays dirty until the deadline. On a full server the stamp is dropped instead.
-- Returns 1 if the transaction's mark was there, else 0.   Cost: O(log transactions); one round trip.
local was_there = redis.call('ZREM', KEYS[2], ARGV[1])
if redis.call('EXISTS', KEYS[2]) == 1 or (was_there == 0 and marked > 0) then return was_there end
local set = redis.pcall('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
if type(set) == 'table' and set.err then redis.call('UNLINK', KEYS[1]) end
return was_there
