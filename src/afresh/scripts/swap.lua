-- KEYS value, lease   ARGV what must be there (its beginning; "" = nothing), its size (0 = any), envelope, ms to live (0 = for ever)
-- Returns 1 if stored, 0 if something else is there.
-- Cost: O(size of the envelope); one round trip.
local seen, size = ARGV[1], tonumber(ARGV[2])
if seen == '' then
  -- What is no string, or an empty one, counts as nothing: it is no entry, and SET replaces it.
  local length = redis.pcall('STRLEN', KEYS[1])
  if type(length) == 'number' and length > 0 then return 0 end
elseif redis.call('GETRANGE', KEYS[1], 0, #seen - 1) ~= seen or (size > 0 and redis.call('STRLEN', KEYS[1]) ~= size) then
  return 0
end
if ARGV[4] == '0' then redis.call('SET', KEYS[1], ARGV[3]) else redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4]) end
redis.call('UNLINK', KEYS[2])
return 1
