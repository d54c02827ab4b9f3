local log, meta = KEYS[1], KEYS[2]
local keep = redis.call('PTTL', log)
if keep < 0 then
  return false
end
local counts = {}
for i, field in ipairs({'resumes', 'recovered'}) do
  local found = tonumber(redis.call('HGET', meta, field) or '0')
  counts[i] = math.max(found, tonumber(ARGV[i])) + tonumber(ARGV[i + 2])
  redis.call('HSET', meta, field, string.format('%.0f', counts[i]))
end
redis.call('PEXPIRE', meta, keep)
return counts
