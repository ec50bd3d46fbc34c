-- KEYS table   ARGV the fence that was seen ("" = none), new fence, ms to live, number of the first row, then the rows in order
-- Begins the table anew unless somebody else did since. Returns the fence that is there now.
-- Cost: O(rows dropped and written); one round trip.
local now = redis.pcall('HGET', KEYS[1], 'g')
if type(now) == 'string' and now ~= ARGV[1] then return now end
redis.call('UNLINK', KEYS[1])
local first = tonumber(ARGV[4])
for at = 5, #ARGV do redis.call('HSET', KEYS[1], string.format('%.0f', first + at - 5), ARGV[at]) end
redis.call('HSET', KEYS[1], 'max', string.format('%.0f', first + #ARGV - 5), 'g', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return ARGV[2]
