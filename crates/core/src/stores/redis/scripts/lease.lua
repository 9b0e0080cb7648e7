-- Hands back jobs whose lease has run out, then leases jobs. Pop, token and deadline are one step.
-- KEYS: ready list, jobs hash, leases set, results stream, number of the last lease.
-- ARGV: most jobs, margin in ms, most deliveries of one job, about how many leased jobs
-- are looked after at most, region.
-- Returns of each job its id, token, milliseconds to the slot, and the rest of what the hash says.
--
-- One lease holds all jobs of a call that have the same timeout: its number and their ids are one
-- member of the set, by deadline. Jobs that ended since are no longer in the hash, and those handed
-- on carry another number.
local ready, jobs, leases, results, last = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local most, margin, deliveries = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local again, looked_after = {}, 0
local function hand_back(lease)
  local number, ids, back = string.match(lease, '^(%d+) '), {}, {}
  for id in string.gmatch(lease, '%x+:%d+') do ids[#ids + 1] = id end
  for n, entry in ipairs(redis.call('HMGET', jobs, unpack(ids))) do
    local token, held, body
    if entry then token, held, body = string.match(entry, '^(%d+),(%d+),(.*)$') end
    if held == number and tonumber(token) >= deliveries then
      local check, slot = string.match(ids[n], '^(%x+):(%d+)$')
      redis.call('HDEL', jobs, ids[n])
      redis.call('XADD', results, '*', 'r', string.format(
        '{"check_id":"%s","region":"%s","slot":%s,"attempt":%d,"outcome":"missed","reason":"worker_crash"}',
        check, ARGV[5], slot, token))
    elseif held == number then
      back[#back + 1] = ids[n]
      back[#back + 1] = token .. ',0,' .. body
      again[#again + 1] = ids[n]
    end
  end
  if #back > 0 then redis.call('HSET', jobs, unpack(back)) end
  redis.call('ZREM', leases, lease)
  looked_after = looked_after + #ids
end

while looked_after < tonumber(ARGV[4]) do
  local expired = redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, 8)
  if #expired == 0 then break end
  for _, lease in ipairs(expired) do hand_back(lease) end
end
-- Each goes to the head, so the oldest goes last.
for n = #again, 1, -1 do redis.call('LPUSH', ready, again[n]) end

local ids = most > 0 and redis.call('LPOP', ready, most)
if not ids or #ids == 0 then return {} end
local number = redis.call('INCR', last)
local answer, entries, late, held, longest = {}, {}, {}, {}, {}
for n, entry in ipairs(redis.call('HMGET', jobs, unpack(ids))) do
  if entry then
    local id = ids[n]
    local token, body, timeout, due, start_by =
      string.match(entry, '^(%d+),%d+,((%d+),(%d+),(%-?%d+),.*)$')
    if tonumber(start_by) < now then
      -- Its window is nearly over. The ledger tells it as missed.
      late[#late + 1] = id
    else
      token = token + 1
      local due_in = math.max(0, due - now)
      entries[#entries + 1] = id
      entries[#entries + 1] = token .. ',' .. number .. ',' .. body
      local group = held[timeout] or {}
      group[#group + 1] = id
      held[timeout], longest[timeout] = group, math.max(longest[timeout] or 0, due_in)
      answer[#answer + 1] = id .. ',' .. token .. ',' .. due_in .. ',' .. body
    end
  end
end
if #late > 0 then redis.call('HDEL', jobs, unpack(late)) end
if #entries > 0 then redis.call('HSET', jobs, unpack(entries)) end
for timeout, group in pairs(held) do
  redis.call('ZADD', leases, now + longest[timeout] + timeout + margin,
    number .. ' ' .. table.concat(group, ' '))
end
return answer
