-- KEYS value, lease   ARGV what the reader saw (the entry's beginning; "" = nothing), the claim's mark, lease ms, digest of the stamps
-- Returns {0, entry}: the entry has changed; {1}: the lease is ours; {2, mark}: somebody else's, or {2, record}: a compute failed.
-- Cost: O(1); one round trip.
local seen = ARGV[1]
if seen == '' then
  local found = redis.pcall('GET', KEYS[1])
  -- Another type than a string, or an empty one, was a miss for the reader, too: the commit replaces it.
  if type(found) == 'string' and found ~= '' then return {0, found} end
elseif redis.call('GETRANGE', KEYS[1], 0, #seen - 1) ~= seen then
  return {0, redis.call('GET', KEYS[1]) or ''}
end
local holder = redis.call('GET', KEYS[2])
-- "F:", digest, what was raised: longer than a mark. What failed under other stamps, before an invalidation, says nothing any more.
if holder and #holder > 12 and string.sub(holder, 1, 2) == 'F:' and string.sub(holder, 3, 10) ~= ARGV[4] then holder = false end
-- Ours already, where the claim is repeated because its reply was lost with the connection.
if holder and holder ~= ARGV[2] then return {2, holder} end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return {1}
