local log, meta, snap = KEYS[1], KEYS[2], KEYS[3]
local expected, chunk, keep, snap_keep, status, updated = unpack(ARGV)
local last = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
if not last or last[1] ~= expected then
  return last
end
redis.call('XADD', log, '18446744073709551615-0', 'c', chunk)
redis.call('PEXPIRE', log, keep)
redis.call('HSET', meta, 'status', status, 'updated', updated)
redis.call('PEXPIRE', meta, keep)
redis.call('PEXPIRE', snap, snap_keep)
return 1
