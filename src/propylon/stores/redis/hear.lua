-- Tell what came after the last entry that the caller has heard. KEYS: the feed. ARGV: that entry, how many it takes.
return news(KEYS[1], ARGV[1], ARGV[2])
