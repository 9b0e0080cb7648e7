-- Hands back jobs whose lease has run out, then leases jobs. Pop, token and deadline are one step.
-- KEYS: ready list, jobs hash, leases set, results stream.
-- ARGV: most jobs, margin in ms, most deliveries of one job, most leases handed back, region.
-- Returns how many leases had run out, then id, token and body of each job.
local ready, jobs, leases, results = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local most, margin, deliveries = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local expired = redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, ARGV[4])
-- Each goes to the head, so the oldest goes last.
for n = #expired, 1, -1 do
  local id = expired[n]
  redis.call('ZREM', leases, id)
  local entry = redis.call('HGET', jobs, id)
  local token = entry and tonumber(string.match(entry, '^(%d+),'))
  if token and token >= deliveries then
    local check, slot = string.match(id, '^(%x+):(%d+)$')
    redis.call('HDEL', jobs, id)
    redis.call('XADD', results, '*', 'r', string.format(
      '{"check_id":"%s","region":"%s","slot":%s,"attempt":%d,"outcome":"missed","reason":"worker_crash"}',
      check, ARGV[5], slot, token))
  elseif token then
    redis.call('LPUSH', ready, id)
  end
end

local answer = { #expired }
local ids = most > 0 and redis.call('LPOP', ready, most) or {}
for _, id in ipairs(ids or {}) do
  local entry = redis.call('HGET', jobs, id)
  if entry then
    local token, body = string.match(entry, '^(%d+),(.*)$')
    local timeout, start_by = string.match(body, '^%d+,(%d+),%-?%d+,(%-?%d+)$')
    if tonumber(start_by) < now then
      -- Its window is nearly over. The ledger tells it as missed.
      redis.call('HDEL', jobs, id)
    else
      token = token + 1
      redis.call('HSET', jobs, id, token .. ',' .. body)
      redis.call('ZADD', leases, now + timeout + margin, id)
      answer[#answer + 1] = id
      answer[#answer + 1] = tostring(token)
      answer[#answer + 1] = body
    end
  end
end
return answer
