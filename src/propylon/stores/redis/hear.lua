-- Tell which history the feed is of, and what came after the last entry that the caller has heard. A server that is new,
-- or has lost everything, takes the name that it is offered.
-- KEYS: the feed, the name of its history. ARGV: that entry, how many the caller takes, a name.
local name = redis.call('GET', KEYS[2])
if not name then
  name = ARGV[3]
  redis.call('SET', KEYS[2], name)
end
return {name, unpack(news(KEYS[1], ARGV[1], ARGV[2]))}
