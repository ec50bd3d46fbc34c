-- KEYS value, lease   ARGV fresh until (8 bytes as in the header), ms to live (0 = for ever)
-- Returns the entry's prefix at least (its first 4 KiB and some), or nothing if there is no entry of ours.
-- Cost: O(1); one round trip.
local head = redis.call('GETRANGE', KEYS[1], 0, 31)
if #head < 32 or string.sub(head, 1, 3) ~= '\175\254\1' then return false end
redis.call('SETRANGE', KEYS[1], 16, ARGV[1])
if ARGV[2] == '0' then redis.call('PERSIST', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
redis.call('UNLINK', KEYS[2])
return redis.call('GETRANGE', KEYS[1], 0, 4127)
