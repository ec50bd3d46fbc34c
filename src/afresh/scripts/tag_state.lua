-- What the scripts begin with that name this file: the state of a tag.
-- KEYS[1] is its stamp: 8 bytes, or a mark, "D:" and a deadline in ms of the server's time. KEYS[2] are the transactions that are writing
-- under it, a sorted set by deadline. Either alone keeps the tag dirty, so that eviction may take the other.
-- Gives: stamp; clean, whether it is one to compute under; marked and latest, the deadlines of both, 0 if they have lapsed.
local function server_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local stamp = redis.call('GET', KEYS[1])
local marked, latest = 0, 0
if (stamp and #stamp ~= 8) or redis.call('EXISTS', KEYS[2]) == 1 then
  local now = server_ms()
  -- A write, so that a replica refuses: its primary may know better.
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  latest = tonumber(redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2] or 0)
  marked = tonumber(string.match(stamp or '', '^D:(%d+)$') or 0)
  if marked <= now then marked = 0 end
end
local dirty = math.max(marked, latest)
local clean = stamp and #stamp == 8 and dirty == 0
