-- KEYS lease   ARGV the claim's mark, record of the failure, ms to live
-- Replaces our lease by the record, which claim.lua reads. A full server refuses it; then nobody is held back.
-- Returns 1 if the record is there, else 0.
-- Cost: O(1); one round trip.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local set = redis.pcall('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
if type(set) == 'table' and set.err then
  redis.call('UNLINK', KEYS[1])
  return 0
end
return 1
