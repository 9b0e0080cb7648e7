-- Hands leased jobs back unlooked at: the delivery does not count.
-- KEYS: ready list, jobs hash. ARGV: id, token for each job.
local ready, jobs = KEYS[1], KEYS[2]
-- Each goes to the head, so the oldest goes last.
for i = #ARGV - 1, 1, -2 do
  local id = ARGV[i]
  local entry = redis.call('HGET', jobs, id)
  local token, lease, body
  if entry then token, lease, body = string.match(entry, '^(%d+),(%d+),(.*)$') end
  -- A lease that ran out has been handed back already.
  if token == ARGV[i + 1] and lease ~= '0' then
    redis.call('HSET', jobs, id, (token - 1) .. ',0,' .. body)
    redis.call('LPUSH', ready, id)
  end
end
return 0
