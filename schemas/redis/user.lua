-- How awake a user is, and when he was last seen. KEYS: the user's key. ARGV: what the keys of gateways begin with.
-- Sessions of gateways that are dead, or lived before, are void: they are taken out.
local rank = {idle = 1, online = 2}
local all, alive, best, seen = redis.call('HGETALL', KEYS[1]), {}, 0, '0'
for i = 1, #all, 2 do
  if all[i] == 'seen' then
    seen = all[i + 1]
  else
    local name, epoch = string.match(all[i], '^([^:]*):(%x+):%d+$')
    if name and alive[name] == nil then alive[name] = redis.call('GET', ARGV[1] .. name) or '' end
    if name and alive[name] == epoch then
      best = math.max(best, rank[all[i + 1]] or 0)
    else
      redis.call('HDEL', KEYS[1], all[i])
    end
  end
end
return {best, seen}
