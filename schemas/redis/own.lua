-- A worker owns a partition, or goes on owning it. KEYS: the partition's key. ARGV: the address, ms that this is good for, 'put' or
-- 'keep', the channel of all owners, the partition. 0: kept by another, who put his later.
local old = redis.call('GET', KEYS[1])
if ARGV[3] == 'keep' and old and old ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if old ~= ARGV[1] then redis.call('PUBLISH', ARGV[4], ARGV[5]) end
return 1
