local log, meta = KEYS[1], KEYS[2]
local keep = redis.call('PTTL', log)
if keep < 0 then
  return 0
end
redis.call('HSET', meta, 'cancel', '1')
redis.call('PEXPIRE', meta, keep)
return 1
