-- A session goes on having the device, as far as it knows. KEYS and ARGV as in claim.lua, and ms of its claim.
-- 1: another has it, who claimed it later or at the same time. One who claimed it earlier is told that he lost it.
local function less(a, b) if #a ~= #b then return #a < #b end return a < b end
local old = redis.call('GET', KEYS[1])
if old and old ~= ARGV[1] then
  local name, epoch, session, ms = string.match(old, '^([^:]*):(%x+):(%d+):(%d+)$')
  if name and not less(ms, ARGV[4]) then return 1 end
  if name then redis.call('PUBLISH', ARGV[2] .. name, 'displaced ' .. epoch .. ' ' .. session) end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 0
