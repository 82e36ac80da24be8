-- Return a user's list and all sessions in it, as they are at one moment. KEYS: the list. ARGV: how the keys of its
-- sessions, which are in the same slot, begin.
local list = redis.call('GET', KEYS[1]) or ''
local sessions = {}
for at = 5, #list, 16 do
  sessions[#sessions + 1] = redis.call('GET', ARGV[1] .. string.sub(list, at, at + 15))
end
return {list, sessions}
