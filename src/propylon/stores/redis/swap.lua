-- Replace values if all of them are still what the caller decided by; announce; tell all that is new to the caller.
-- KEYS: the feed, then the values. ARGV: the last entry the caller has heard, how many it takes, how long entries are
-- kept (ms), how many it announces, these, and for each value what it must be, what it becomes, and its time to live
-- (ms; 0 is without end). An empty text is no value.

local announced = tonumber(ARGV[4])

for at = 2, #KEYS do
  local expected = ARGV[3 * (at - 2) + 5 + announced]
  if (redis.call('GET', KEYS[at]) or '') ~= expected then return false end
end

for at = 2, #KEYS do
  local first = 3 * (at - 2) + 5 + announced
  local value, ttl_ms = ARGV[first + 1], tonumber(ARGV[first + 2])
  if value == '' then
    redis.call('DEL', KEYS[at])
  elseif value ~= ARGV[first] then
    if ttl_ms == 0 then
      redis.call('SET', KEYS[at], value)
    else
      redis.call('SET', KEYS[at], value, 'PX', string.format('%.0f', ttl_ms))
    end
  end
end

if announced == 0 then return {} end
local entries = {}
for at = 1, announced do entries[at] = ARGV[4 + at] end
announce(KEYS[1], entries, tonumber(ARGV[3]))
return news(KEYS[1], ARGV[1], ARGV[2])
