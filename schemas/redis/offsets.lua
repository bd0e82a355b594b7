-- Offsets of a device move, only ever forward. KEYS: its key. ARGV: ms of now, the ms below which an offset is forgotten, ms to keep,
-- then space, place, cursor of each. Places are compared as decimal text: a Lua number holds no more than 2^53.
local function less(a, b) if #a ~= #b then return #a < #b end return a < b end
local added = false
for i = 4, #ARGV, 3 do
  local old = redis.call('HGET', KEYS[1], ARGV[i])
  local place = old and string.match(old, '^(%d+):')
  if not place or less(place, ARGV[i + 1]) then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1] .. ':' .. ARGV[1] .. ':' .. ARGV[i + 2])
    added = added or not old
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
if added and redis.call('HLEN', KEYS[1]) % 16 == 0 then
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    local ms = string.match(all[i + 1], '^%d+:(%d+):')
    if not ms or less(ms, ARGV[2]) then redis.call('HDEL', KEYS[1], all[i]) end
  end
end
return 1
