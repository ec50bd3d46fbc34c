-- KEYS table   ARGV fence, ms to live, most bytes in rows (0 = no bound), how many rows to keep at least, number of the first row, rows …
-- Writes under an unchanged fence, and only rows that leave no gap, so `max` is always true. Beyond the bound the lowest rows go; `min` is
-- the lowest one kept, `bytes` the size of all.
-- Returns 1 if written, 0 if refused.   Cost: O(rows written and dropped); one round trip.
local table_key, bound = KEYS[1], tonumber(ARGV[3])
if redis.call('HGET', table_key, 'g') ~= ARGV[1] then return 0 end
local first, max = tonumber(ARGV[5]), tonumber(redis.call('HGET', table_key, 'max'))
if not max or first > max + 1 then return 0 end
local name = function(row) return string.format('%.0f', row) end
local added = 0
for at = 6, #ARGV do
  local row = first + at - 6
  if row > max then
    redis.call('HSET', table_key, name(row), ARGV[at])
    added = added + #ARGV[at]
  end
end
local last = first + #ARGV - 6
if last > max then
  max = last
  redis.call('HSET', table_key, 'max', name(max))
end
if bound > 0 then
  local size = tonumber(redis.call('HGET', table_key, 'bytes') or 0) + added
  local low = tonumber(redis.call('HGET', table_key, 'min') or ARGV[5])
  while size > bound and low <= max - tonumber(ARGV[4]) do
    size = size - redis.call('HSTRLEN', table_key, name(low))
    redis.call('HDEL', table_key, name(low))
    low = low + 1
  end
  redis.call('HSET', table_key, 'bytes', name(size), 'min', name(low))
end
redis.call('PEXPIRE', table_key, ARGV[2])
return 1
