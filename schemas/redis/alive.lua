-- A gateway lives. KEYS: its key. ARGV: its epoch, ms that this is good for.
-- 0: the key was not there, or another's: what this gateway wrote may be gone with it.
local was = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return was == ARGV[1] and 1 or 0
