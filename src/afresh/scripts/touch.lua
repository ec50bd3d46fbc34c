-- KEYS value, lease   ARGV fresh until (8 bytes as in the header), ms to live (0 = for ever)
-- An entry that is stale already stays so: its time is up, or somebody has ended it (expire.lua).
-- Returns the entry's prefix at least (its first 4 KiB and some), or nothing if there is no fresh entry of ours.
-- Cost: O(1); one round trip.
local head = redis.call('GETRANGE', KEYS[1], 0, 31)
if #head < 32 or string.sub(head, 1, 3) ~= '\175\254\1' then return false end
local fresh_until, time = 0, redis.call('TIME')
for at = 24, 17, -1 do fresh_until = fresh_until * 256 + string.byte(head, at) end
if time[1] * 1000 + time[2] / 1000 >= fresh_until then return false end
redis.call('SETRANGE', KEYS[1], 16, ARGV[1])
if ARGV[2] == '0' then redis.call('PERSIST', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
redis.call('UNLINK', KEYS[2])
return redis.call('GETRANGE', KEYS[1], 0, 4127)
