-- KEYS holder, queue, waiters   ARGV token, lock's ms to live, ms that a place in the line is kept (0 = none), tokens of others of its process
-- Whoever waits has a place in the queue, by the time it came, and a time until when it is waited for. The fence is the server's time in µs,
-- and more than the last one: it rises also where the last one was evicted. Asked again by its holder, the lock lives on with its fence.
-- Returns the fence if the lock is the token's now; else minus its place in the line (-1: it comes next), 0 without one.
-- Cost: O(tokens * log waiters); one round trip.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local micros = time[1] * 1000000 + time[2]
local token = ARGV[1]
local holder = redis.call('GET', KEYS[1])
local fence = tonumber(redis.call('HGET', KEYS[3], 'fence') or 0)
local keep = math.max(3600000, 2 * ARGV[2])
if holder == token and fence > 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return fence
end
if tonumber(ARGV[3]) > 0 then
  local last = tonumber(redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2] or 0)
  for at = 1, #ARGV - 2 do
    local waits = at == 1 and token or ARGV[at + 2]
    redis.call('ZADD', KEYS[2], 'NX', math.max(micros, last) + at, waits)
    redis.call('HSET', KEYS[3], waits, string.format('%.0f', now + ARGV[3]))
  end
  redis.call('PEXPIRE', KEYS[2], keep)
  redis.call('PEXPIRE', KEYS[3], keep)
end
local place = function()
  local ahead = redis.call('ZRANK', KEYS[2], token)
  return ahead and -1 - ahead or 0
end
if holder and holder ~= token then return place() end
local first = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
while first and first ~= token do
  if tonumber(redis.call('HGET', KEYS[3], first) or 0) > now then return place() end
  redis.call('ZREM', KEYS[2], first)
  redis.call('HDEL', KEYS[3], first)
  first = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
end
redis.call('ZREM', KEYS[2], token)
redis.call('HDEL', KEYS[3], token)
fence = math.max(micros, fence + 1)
redis.call('HSET', KEYS[3], 'fence', string.format('%.0f', fence))
redis.call('PEXPIRE', KEYS[3], keep)
redis.call('SET', KEYS[1], token, 'PX', ARGV[2])
return fence
