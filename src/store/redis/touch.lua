local log, meta, snap = KEYS[1], KEYS[2], KEYS[3]
local last = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
redis.call('PEXPIRE', meta, ARGV[1])
if not last or last[1] ~= '18446744073709551615-0' then
  redis.call('PEXPIRE', snap, ARGV[1])
end
if redis.call('PEXPIRE', log, ARGV[1]) == 0 then
  return 'gone'
end
return redis.call('HGET', meta, 'cancel') == '1' and 'cancelled' or 'lives'
