package state

import "github.com/redis/go-redis/v9"

// The operations that Redis has no command for, each atomic there. A script is
// sent once and named by its digest then.
var (
	// head, value, milliseconds -> done
	setIfScript = redis.NewScript(`
if redis.pcall('GETRANGE', KEYS[1], 0, 8) ~= ARGV[1] then return 0 end
if ARGV[3] == '0' then
	redis.call('SET', KEYS[1], ARGV[2])
else
	redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return 1`)

	// head -> 1 done, 0 another, -1 nothing there
	removeIfScript = redis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
if redis.pcall('GETRANGE', KEYS[1], 0, 8) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`)

	// delta, milliseconds -> sum, as text: numbers in Lua are floats
	addScript = redis.NewScript(`
local fresh = redis.call('EXISTS', KEYS[1]) == 0
if fresh and ARGV[1] == '0' then return '0' end
redis.call('INCRBY', KEYS[1], ARGV[1])
if fresh and ARGV[2] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return redis.call('GET', KEYS[1])`)

	// burst, microseconds for a token, n, grain -> allowed, remaining, microseconds
	// to wait. It is level.take.
	takeScript = redis.NewScript(`
local burst, each, n, grain = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local held = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(held[1] or burst), tonumber(held[2] or now)
if at > now then -- the server's clock was set back, or another server took over
	at = now
	redis.call('HSET', KEYS[1], 'at', string.format('%.0f', now))
end
tokens = math.min(burst, tokens + (now - at) / each)
local function whole(tokens) return math.max(0, math.floor(tokens + grain)) end
if tokens + grain < n then
	return {0, whole(tokens), math.ceil((n - tokens) * each)}
end
if n > 0 then
	tokens = tokens - n
	redis.call('HSET', KEYS[1], 'tokens', string.format('%.17g', tokens), 'at', string.format('%.0f', now))
	redis.call('PEXPIRE', KEYS[1], math.ceil((burst - tokens) * each / 1000))
end
return {1, whole(tokens), 0}`)

	// limit, microseconds of a part, n, parts -> as takeScript. It is tally.admit; a
	// window is a string of its mark and its tally, whose numbers are floats here.
	windowScript = redis.NewScript(`
local limit, size, n, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local current = math.floor(now / size)
local held = redis.call('GET', KEYS[1]) or 'w'
if string.sub(held, 1, 1) ~= 'w' then return redis.error_reply('WRONGTYPE it is no window') end
local parts, counts, sum = {}, {}, 0
local function append(part, count)
	if parts[#parts] == part then
		counts[#parts] = counts[#parts] + count
	else
		parts[#parts + 1], counts[#parts + 1] = part, count
	end
	sum = sum + count
end
for at = 2, #held, 12 do
	local part, count = struct.unpack('>dI4', held, at)
	part = math.min(part, current)
	if part >= current - most then append(part, count) end
end
local function leaves(part) return (part + most + 1) * size - now end
if sum + n > limit then
	local rest = sum + n
	for i, count in ipairs(counts) do
		rest = rest - count
		if rest <= limit then return {0, math.max(0, limit - sum), leaves(parts[i])} end
	end
end
if n > 0 then
	append(current, n)
	local packed = {'w'}
	for i, part in ipairs(parts) do packed[i + 1] = struct.pack('>dI4', part, counts[i]) end
	redis.call('SET', KEYS[1], table.concat(packed), 'PX', math.ceil(leaves(current) / 1000))
end
return {1, limit - sum, 0}`)
)
