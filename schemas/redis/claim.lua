-- A session has the device from now on. KEYS: the device's key. ARGV: the holder (name:epoch:session:ms), what channels of gateways
-- begin with, ms to keep. Whoever held it is told on his gateway's channel.
local old = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
if old and old ~= ARGV[1] then
  local name, epoch, session = string.match(old, '^([^:]*):(%x+):(%d+):%d+$')
  if name then redis.call('PUBLISH', ARGV[2] .. name, 'displaced ' .. epoch .. ' ' .. session) end
end
return 1
