-- After tag_state.lua.
-- KEYS stamp, writers   ARGV new stamp
-- Renews a stamp that exists; an absent one has no valid entry under it. A dirty tag stays dirty: who began it ends it.
-- On a full server the stamp is dropped instead: missing = different. A replica refuses, whatever it has: its primary may have more.
-- Returns 1.   Cost: O(1); one round trip.
if dirty > 0 then return 1 end
local set = redis.pcall('SET', KEYS[1], ARGV[1], 'XX', 'KEEPTTL')
if type(set) == 'table' and set.err then redis.call('UNLINK', KEYS[1]) end
return 1
