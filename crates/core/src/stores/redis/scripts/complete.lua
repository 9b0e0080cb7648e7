-- Ends leases and appends their results, each in one step, if the token still holds.
-- KEYS: jobs hash, leases set, results stream. ARGV: most results waiting, then id, token, result.
-- Returns how many were stale, or -1 when too many results wait already.
local jobs, leases, results = KEYS[1], KEYS[2], KEYS[3]
if redis.call('XLEN', results) >= tonumber(ARGV[1]) then return -1 end
local stale = 0
for i = 2, #ARGV, 3 do
  local id = ARGV[i]
  local entry = redis.call('HGET', jobs, id)
  if entry and string.match(entry, '^(%d+),') == ARGV[i + 1] then
    redis.call('HDEL', jobs, id)
    redis.call('ZREM', leases, id)
    redis.call('XADD', results, '*', 'r', ARGV[i + 2])
  else
    stale = stale + 1
  end
end
return stale
