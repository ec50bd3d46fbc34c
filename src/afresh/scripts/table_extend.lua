-- KEYS table   ARGV fence, ms to live, number of the first row, then the rows in order
-- Writes under an unchanged fence, and only rows that leave no gap, so `max` is always true.
-- Returns 1 if written, 0 if refused.   Cost: O(rows); one round trip.
if redis.call('HGET', KEYS[1], 'g') ~= ARGV[1] then return 0 end
local first, max = tonumber(ARGV[3]), tonumber(redis.call('HGET', KEYS[1], 'max'))
if not max or first > max + 1 then return 0 end
for at = 4, #ARGV do
  local row = first + at - 4
  if row > max then redis.call('HSET', KEYS[1], string.format('%.0f', row), ARGV[at]) end
end
local last = first + #ARGV - 4
if last > max then redis.call('HSET', KEYS[1], 'max', string.format('%.0f', last)) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
