local log, meta, snap = KEYS[1], KEYS[2], KEYS[3]
local onto, expected, keep, trim, ended, state, state_keep, gone, fields = unpack(ARGV, 1, 9)
local last = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
local fits
if onto == 'seq' then
  fits = last and last[1] == expected
elseif onto == 'nothing' then
  fits = redis.call('EXISTS', log) == 0
else
  fits = not last or last[1] ~= '18446744073709551615-0'
end
if not fits then
  return last
end
if onto == 'anything' then
  redis.call('DEL', log)
end
local first = 10 + tonumber(gone)
local chunks = first + tonumber(fields)
for i = chunks, #ARGV, 2 do
  redis.call('XADD', log, ARGV[i], 'c', ARGV[i + 1])
end
if trim ~= '' then
  redis.call('XTRIM', log, 'MINID', trim)
end
for i = 10, first - 1 do
  redis.call('XDEL', log, ARGV[i])
end
redis.call('PEXPIRE', log, keep)
redis.call('HSET', meta, unpack(ARGV, first, chunks - 1))
redis.call('PEXPIRE', meta, keep)
if state ~= '' then
  redis.call('SET', snap, state, 'PX', state_keep)
elseif ended == '1' then
  redis.call('PEXPIRE', snap, state_keep)
end
return 1
