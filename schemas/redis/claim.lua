-- A session has the device from now on. KEYS: the device's key. ARGV: the holder (name:epoch:session:ms), what channels of gateways
-- begin with, ms to keep, ms of its claim. Whoever held it is told on his gateway's channel. Claims of two gateways may overtake each
-- other on their way here: one that says to be newer by less than a second is, and then the newcomer is told. By more, a clock is wrong.
local parts = '^([^:]*):(%x+):(%d+):(%d+)$'
local function displace(holder)
  local name, epoch, session = string.match(holder, parts)
  if name then redis.call('PUBLISH', ARGV[2] .. name, 'displaced ' .. epoch .. ' ' .. session) end
end
local old = redis.call('GET', KEYS[1])
if old and old ~= ARGV[1] then
  local name, epoch, session, ms = string.match(old, parts)
  local ahead_ms = name and tonumber(ms) - tonumber(ARGV[4]) or 0
  if ahead_ms > 0 and ahead_ms < 1000 then
    displace(ARGV[1])
    return 0
  end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
if old and old ~= ARGV[1] then displace(old) end
return 1
