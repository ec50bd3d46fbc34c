-- KEYS value, lease, the key's stamp   ARGV fresh until (8 bytes as in the header), new stamp, its ms to live
-- Lets an entry be fresh until then at most; it lives on as long as it may be served stale. A compute that began before stores nothing
-- over it. The stamp tells those who hold copies.
-- Returns 1 if there was an entry of ours, else 0; or the server's error, where it is too full to tell them.
-- Cost: O(1); one round trip.
redis.call('UNLINK', KEYS[2])
local head = redis.call('GETRANGE', KEYS[1], 0, 31)
local is_entry = #head == 32 and string.sub(head, 1, 3) == '\175\254\1'
-- Little-endian: the last byte that differs decides. Lua would compare text by the server's locale.
for at = is_entry and 24 or 0, 17, -1 do
  local now, wanted = string.byte(head, at), string.byte(ARGV[1], at - 16)
  if now ~= wanted then
    if now > wanted then
      local set = redis.pcall('SETRANGE', KEYS[1], 16, ARGV[1])
      if type(set) == 'table' and set.err then redis.call('UNLINK', KEYS[1]) end
    end
    break
  end
end
local set = redis.pcall('SET', KEYS[3], ARGV[2], 'PX', ARGV[3])
if type(set) == 'table' and set.err then return set end
return is_entry and 1 or 0
