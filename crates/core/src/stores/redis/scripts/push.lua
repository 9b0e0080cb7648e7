-- Adds jobs to a region's queue, each once, however often it is pushed.
-- KEYS: ready list, jobs hash, then the spec of each job. ARGV: most jobs in the list, most late ones
-- cleared, seconds to keep a spec, 1 to begin that time anew; then for each job id, version, timeout,
-- due_in, start_within (milliseconds).
-- Returns how many were dropped for want of room, then the places (from 0) of jobs that lack a spec.
--
-- What the hash says of a job: token, lease (0 when it is ready), timeout, due at, start by, version,
-- due_in, start_within. Times are this server's, which is also what leases go by.
local ready, jobs = KEYS[1], KEYS[2]
local most, clear, keep, renew = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4]
local FIRST, WIDTH = 5, 5
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Jobs nobody came for in time make room: oldest first, a few a call.
for _ = 1, clear do
  local id = redis.call('LINDEX', ready, 0)
  if not id then break end
  local entry = redis.call('HGET', jobs, id)
  if entry and tonumber(string.match(entry, '^%d+,%d+,%d+,%d+,(%-?%d+),')) >= now then break end
  redis.call('LPOP', ready)
  redis.call('HDEL', jobs, id)
end

local ids = {}
for i = FIRST, #ARGV, WIDTH do ids[#ids + 1] = ARGV[i] end
local known = redis.call('HMGET', jobs, unpack(ids))

local places, specs, seen = {}, {}, {}
for n, id in ipairs(ids) do
  if not known[n] and not seen[id] then
    seen[id] = true
    places[#places + 1] = n - 1
    specs[#specs + 1] = KEYS[2 + n]
  end
end
if #places == 0 then return { 0 } end

-- Mostly all specs are there, and one call says so.
local ask_each = renew == '1' or redis.call('EXISTS', unpack(specs)) < #specs
local room, dropped = most - redis.call('LLEN', ready), 0
local lacking, entries, pushed = {}, {}, {}
for n, place in ipairs(places) do
  local at = FIRST + place * WIDTH
  if ask_each and redis.call('EXPIRE', specs[n], keep) == 0 then
    lacking[#lacking + 1] = place
  elseif room <= 0 then
    dropped = dropped + 1
  else
    room = room - 1
    pushed[#pushed + 1] = ARGV[at]
    entries[#entries + 1] = ARGV[at]
    entries[#entries + 1] = '0,0,' .. ARGV[at + 2] .. ',' .. (now + ARGV[at + 3]) .. ','
      .. (now + ARGV[at + 4]) .. ',' .. ARGV[at + 1] .. ',' .. ARGV[at + 3] .. ',' .. ARGV[at + 4]
  end
end
if #pushed > 0 then
  redis.call('HSET', jobs, unpack(entries))
  redis.call('RPUSH', ready, unpack(pushed))
end
return { dropped, unpack(lacking) }
