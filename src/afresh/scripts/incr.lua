-- KEYS value, lease   ARGV a whole number to add
-- An entry of codec 1 holds the digits of an integer after its prefix (core/envelope.py has the offsets).
-- Returns {1, envelope} with the sum; {0, envelope} unchanged where Lua cannot add exactly, or for what is no integer; {-1} absent.
-- Cost: O(1); one round trip. The lifetime stays.
local raw = redis.call('GET', KEYS[1])
if not raw then return {-1} end
if #raw < 32 or string.sub(raw, 1, 3) ~= '\175\254\1' or string.byte(raw, 5) ~= 1 then return {0, raw} end
local flags = string.byte(raw, 4)
local offset = 32 + 8 * (flags % 2) + 8 * (math.floor(flags / 2) % 2) + 16 * string.byte(raw, 6)
local digits = string.sub(raw, offset + 1)
-- Doubles are exact up to 2^53: fifteen digits on either side stay below.
if flags >= 4 or #digits > 15 or #ARGV[1] > 15 or not string.match(digits, '^-?%d+$') then return {0, raw} end
local sum = string.format('%.0f', tonumber(digits) + tonumber(ARGV[1]))
if sum == '-0' then sum = '0' end
raw = string.sub(raw, 1, offset) .. sum
redis.call('SET', KEYS[1], raw, 'KEEPTTL')
redis.call('UNLINK', KEYS[2])
return {1, raw}
