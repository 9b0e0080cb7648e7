-- Hands leased jobs back unlooked at: the delivery does not count.
-- KEYS: ready list, jobs hash, leases set. ARGV: id, token for each job.
local ready, jobs, leases = KEYS[1], KEYS[2], KEYS[3]
for i = 1, #ARGV, 2 do
  local id = ARGV[i]
  local entry = redis.call('HGET', jobs, id)
  local token, body
  if entry then token, body = string.match(entry, '^(%d+),(.*)$') end
  if token == ARGV[i + 1] then
    redis.call('ZREM', leases, id)
    redis.call('HSET', jobs, id, (token - 1) .. ',' .. body)
    redis.call('LPUSH', ready, id)
  end
end
return 0
