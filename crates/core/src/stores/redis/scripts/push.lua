-- Adds jobs to a region's queue, each once, however often it is pushed.
-- KEYS: ready list, jobs hash. ARGV: most jobs in the list, most late ones cleared, prefix of specs,
-- seconds to keep a spec, then id, body (version,timeout,start_within), spec suffix for each job.
-- Returns how many were dropped for want of room, then the places (from 0) of jobs that lack a spec.
local ready, jobs = KEYS[1], KEYS[2]
local most, clear, prefix, keep = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4]

-- Jobs nobody came for in time make room: oldest first, a few a call.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _ = 1, clear do
  local id = redis.call('LINDEX', ready, 0)
  local entry = id and redis.call('HGET', jobs, id)
  if not id then break end
  if entry and tonumber(string.match(entry, '(%d+)$')) >= now then break end
  redis.call('LPOP', ready)
  redis.call('HDEL', jobs, id)
end

local room = most - redis.call('LLEN', ready)
local answer = { 0 }
for i = 5, #ARGV, 3 do
  local id = ARGV[i]
  if redis.call('HEXISTS', jobs, id) == 0 then
    if redis.call('EXPIRE', prefix .. ARGV[i + 2], keep) == 0 then
      answer[#answer + 1] = (i - 5) / 3
    elseif room <= 0 then
      answer[1] = answer[1] + 1
    else
      local within = tonumber(string.match(ARGV[i + 1], '(%-?%d+)$'))
      -- By this server's clock, which is also what the lease goes by.
      redis.call('HSET', jobs, id, '0,' .. ARGV[i + 1] .. ',' .. (now + within))
      redis.call('RPUSH', ready, id)
      room = room - 1
    end
  end
end
return answer
