-- A worker owns a partition no longer: a later owner's entry stays. KEYS: the partition's key. ARGV: the address, the channel of all
-- owners, the partition.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
