-- KEYS value, lease, the key's stamp   ARGV new stamp, its ms to live, ms since the epoch (0 = none)
-- Drops the entry and whoever computes it, and renews the stamp for those who captured it. UNLINK works on a full server; SET may not.
-- An entry that was set after that time stays, where the invalidation comes late. One that was computed (its cost says so) goes whatever
-- its age: the compute may have begun before. core/envelope.py has the offsets.
-- Returns {entries dropped, 1 if the stamp was renewed, else 0 and there is none}.
-- Cost: O(1); one round trip.
local dropped = 0
local head = ARGV[3] ~= '0' and redis.pcall('GETRANGE', KEYS[1], 0, 31)
local was_set = type(head) == 'string' and #head == 32 and string.sub(head, 1, 3) == '\175\254\1' and string.sub(head, 25, 28) == '\0\0\0\0'
if not (was_set and struct.unpack('<I8', string.sub(head, 9, 16)) > tonumber(ARGV[3])) then dropped = redis.call('UNLINK', KEYS[1]) end
redis.call('UNLINK', KEYS[2])
local set = redis.pcall('SET', KEYS[3], ARGV[1], 'PX', ARGV[2])
if type(set) == 'table' and set.err then
  redis.call('UNLINK', KEYS[3])
  return {dropped, 0}
end
return {dropped, 1}
