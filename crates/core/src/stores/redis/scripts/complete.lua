-- Ends jobs and appends their results, each in one step, if the token still holds.
-- KEYS: jobs hash, results stream. ARGV: most results waiting, then id, token, result.
-- Returns how many were stale, or -1 when too many results wait already.
local jobs, results = KEYS[1], KEYS[2]
if redis.call('XLEN', results) >= tonumber(ARGV[1]) then return -1 end
local ids = {}
for i = 2, #ARGV, 3 do ids[#ids + 1] = ARGV[i] end
local entries = redis.call('HMGET', jobs, unpack(ids))
local ended, told = {}, {}
for n, id in ipairs(ids) do
  local entry, at = entries[n], 2 + (n - 1) * 3
  if entry and not told[id] and string.match(entry, '^(%d+),') == ARGV[at + 1] then
    told[id] = true
    ended[#ended + 1] = id
    redis.call('XADD', results, '*', 'r', ARGV[at + 2])
  end
end
if #ended > 0 then redis.call('HDEL', jobs, unpack(ended)) end
return #ids - #ended
