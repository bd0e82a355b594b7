-- A session of a user. KEYS: the user's key. ARGV: the session's field, its state ('' when it is gone), ms of now, ms to keep.
local function less(a, b) if #a ~= #b then return #a < #b end return a < b end
if ARGV[2] == '' then redis.call('HDEL', KEYS[1], ARGV[1]) else redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
local seen = redis.call('HGET', KEYS[1], 'seen')
if not seen or less(seen, ARGV[3]) then redis.call('HSET', KEYS[1], 'seen', ARGV[3]) end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
