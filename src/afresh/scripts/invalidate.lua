-- KEYS value, lease, the key's stamp   ARGV new stamp, its ms to live
-- Drops the entry and whoever computes it, and renews the stamp for those who captured it. UNLINK works on a full server; SET may not.
-- Returns {entries dropped, 1 if the stamp was renewed, else 0 and there is none}.
-- Cost: O(1); one round trip.
local dropped = redis.call('UNLINK', KEYS[1])
redis.call('UNLINK', KEYS[2])
local set = redis.pcall('SET', KEYS[3], ARGV[1], 'PX', ARGV[2])
if type(set) == 'table' and set.err then
  redis.call('UNLINK', KEYS[3])
  return {dropped, 0}
end
return {dropped, 1}
