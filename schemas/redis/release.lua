-- A session has the device no longer: a later holder's entry stays. KEYS: the device's key. ARGV: the holder that goes.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
