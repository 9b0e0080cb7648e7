-- Appends a publisher's batch of events, once, and rings the bells.
-- KEYS: kept stream, passing stream, hash of publishers. ARGV: publisher, number of the batch, channel
-- of the bells, most kept, most passing, seconds that what passes is kept, how many events, then
-- events, then texts of runs.
local known = redis.call('HGET', KEYS[3], ARGV[1])
if known and tonumber(string.match(known, '^(%d+):')) >= tonumber(ARGV[2]) then return 0 end
local last = 7 + tonumber(ARGV[7])
for i = 8, last do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[4], '*', 'e', ARGV[i])
end
for i = last + 1, #ARGV do
  redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[5], '*', 'e', ARGV[i])
end
if #ARGV > last then redis.call('EXPIRE', KEYS[2], ARGV[6]) end
redis.call('HSET', KEYS[3], ARGV[1], ARGV[2] .. ':' .. redis.call('TIME')[1])
redis.call('PUBLISH', ARGV[3], '')
return 1
