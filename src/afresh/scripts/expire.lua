-- KEYS value, lease, the key's stamp   ARGV fresh until (8 bytes as in the header), new stamp, its ms to live
-- Lets an entry be stale from now on, never for longer fresh than it is. It lives on as long as it may be served stale. A compute that
-- began before stores nothing over it. The stamp tells those who hold copies.
-- Returns 1 if there was an entry of ours, else 0; or the server's error.
-- Cost: O(1); one round trip.
redis.call('UNLINK', KEYS[2])
local head = redis.call('GETRANGE', KEYS[1], 0, 31)
local is_entry = #head == 32 and string.sub(head, 1, 3) == '\175\254\1'
local is_later = false
for at = is_entry and 24 or 0, 17, -1 do
  local now, wanted = string.byte(head, at), string.byte(ARGV[1], at - 16)
  if now ~= wanted then
    is_later = now > wanted
    break
  end
end
if is_later then
  -- A full server refuses to write in place: then the entry goes, and the next caller computes.
  local set = redis.pcall('SETRANGE', KEYS[1], 16, ARGV[1])
  if type(set) == 'table' and set.err then redis.call('UNLINK', KEYS[1]) end
end
local set = redis.pcall('SET', KEYS[3], ARGV[2], 'PX', ARGV[3])
if type(set) == 'table' and set.err then redis.call('UNLINK', KEYS[3]) end
return is_entry and 1 or 0
