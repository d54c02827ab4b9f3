local mode, expected, is_value, value, keep = unpack(ARGV)
local found = redis.call('GET', KEYS[1])
local is_there = is_value == '1' and found == value
if not is_there then
  if (mode == 'nothing' and found) or (mode == 'value' and found ~= expected) then
    return found
  end
end
if is_value == '1' then
  redis.call('SET', KEYS[1], value, 'PX', keep)
  return value
end
redis.call('DEL', KEYS[1])
return false
