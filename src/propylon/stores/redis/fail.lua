-- Count one more failure: core.throttle.failed, standing and forgotten_at, which a test compares with this.
-- KEYS: the tally. ARGV: now, seconds after which one failure is forgiven, the longest wait (s), a margin (s).
local now, forgive_s, longest_wait_s = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local failures, last_at = string.match(redis.call('GET', KEYS[1]) or '0 0 0', '(%-?%d+) (%-?%d+)')
failures, last_at = tonumber(failures), tonumber(last_at)

local standing = 0
if last_at - now <= longest_wait_s then
  standing = math.max(0, failures - math.floor(math.max(0, now - last_at) / forgive_s))
end
if standing > 0 then last_at = math.max(now, last_at) else last_at = now end
failures = standing + 1

local forgotten_at = last_at + failures * forgive_s
local value = string.format('%.0f %.0f %.0f', failures, last_at, forgotten_at)
redis.call('SET', KEYS[1], value, 'EX', string.format('%.0f', math.max(0, forgotten_at - now) + tonumber(ARGV[4])))
