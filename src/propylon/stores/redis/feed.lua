-- A feed is a stream. The id of an entry is "<epoch milliseconds>-<number>", numbered from 1 without gaps: whoever
-- reads on sees by the number that entries were lost, and by the milliseconds that the history is another one.

local function last_of(feed)
  if redis.call('EXISTS', feed) == 0 then return '0-0' end
  local facts = redis.call('XINFO', 'STREAM', feed)
  for at = 1, #facts, 2 do
    if facts[at] == 'last-generated-id' then return facts[at + 1] end
  end
end

local function announce(feed, entries, keep_ms)
  local time = redis.call('TIME')
  local last_ms, last_number = string.match(last_of(feed), '(%d+)-(%d+)')
  local ms = math.max(time[1] * 1000 + math.floor(time[2] / 1000), tonumber(last_ms))
  for at, entry in ipairs(entries) do
    redis.call('XADD', feed, string.format('%.0f-%.0f', ms, last_number + at), 'e', entry)
  end
  redis.call('XTRIM', feed, 'MINID', '~', string.format('%.0f', ms - keep_ms))
end

local function news(feed, after, most)
  return {last_of(feed), redis.call('XRANGE', feed, '(' .. after, '+', 'COUNT', most)}
end
