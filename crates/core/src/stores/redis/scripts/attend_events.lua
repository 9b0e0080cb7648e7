-- Says that a publisher is there, and tells of those that are gone without a word.
-- KEYS: kept stream, wanted, hash of publishers. ARGV: publisher, channel of the bells, most kept,
-- seconds after which one is gone, what is told then.
-- Returns whether somebody wants runs.
local now, gone = tonumber(redis.call('TIME')[1]), {}
local all = redis.call('HGETALL', KEYS[3])
local number = '0'
for i = 1, #all, 2 do
  local batch, seen = string.match(all[i + 1], '^(%d+):(%d+)$')
  if all[i] == ARGV[1] then
    number = batch
  elseif not seen or now - tonumber(seen) >= tonumber(ARGV[4]) then
    gone[#gone + 1] = all[i]
  end
end
if #gone > 0 then
  redis.call('HDEL', KEYS[3], unpack(gone))
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', 'e', ARGV[5])
end
redis.call('HSET', KEYS[3], ARGV[1], number .. ':' .. now)
-- Also when nothing is new: who listens in vain for long knows that the line is dead.
redis.call('PUBLISH', ARGV[2], '')
return redis.call('EXISTS', KEYS[2])
