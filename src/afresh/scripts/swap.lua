-- KEYS value, lease   ARGV what must be there (its beginning; "" = nothing), envelope, ms to live (0 = for ever)
-- Returns 1 if stored, 0 if something else is there.
-- Cost: O(size of the envelope); one round trip.
local seen = ARGV[1]
if seen == '' then
  -- Another type than a string, or an empty one, counts as nothing: it is no entry, and SET replaces it.
  local length = redis.pcall('STRLEN', KEYS[1])
  if type(length) == 'number' and length > 0 then return 0 end
elseif redis.call('GETRANGE', KEYS[1], 0, #seen - 1) ~= seen then
  return 0
end
if ARGV[3] == '0' then redis.call('SET', KEYS[1], ARGV[2]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
redis.call('UNLINK', KEYS[2])
return 1
