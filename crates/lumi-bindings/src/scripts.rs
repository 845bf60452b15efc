//! The scripts, in the Lua of Redis and Valkey. Each is atomic and names all of its keys.

/// Takes or renews a lease. Key: the lease. Arguments: token, milliseconds. Returns -1 if the caller holds it
/// now, otherwise the milliseconds for which the holder's lease lasts.
pub(crate) const LEASE: &str = r"
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return math.max(0, redis.call('PTTL', KEYS[1])) end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return -1";

/// Releases a lease. Key: the lease. Argument: token.
pub(crate) const RELEASE: &str = r"
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0";

/// Raises the fence of a serving address in one partition. Keys: epochs, log. Arguments: serving address,
/// epoch, length of the log. Returns the epoch that holds.
pub(crate) const FENCE: &str = r"
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored and tonumber(stored) >= tonumber(ARGV[2]) then return stored end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', 'p', last and last[1] or '0-0', '', ARGV[1] .. ' ' .. ARGV[2])
return ARGV[2]";

/// Claims users of one partition. Keys: epochs, log, then the hash of each user. Arguments: serving address,
/// epoch, length of the log, then user and entry of each. Returns a word, and what belongs to it: `FENCED` and
/// the later epoch; `FORGOTTEN`; or `DONE` and the users that were refused, each with the entry that won.
///
/// Bytes are compared one by one: strings of Lua compare as the locale of the engine's host says.
pub(crate) const CLAIM: &str = r"
local fence = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0')
local epoch = tonumber(ARGV[2])
if fence > epoch then return {'FENCED', string.format('%.0f', fence)} end
if fence < epoch then return {'FORGOTTEN'} end
local order = {11, 12, 13, 14, 15, 16, 17, 18, 1, 2, 3, 4}
local function beats(new, old)
  if #old ~= 18 then return true end
  for _, at in ipairs(order) do
    local a, b = new:byte(at), old:byte(at)
    if a ~= b then return a > b end
  end
  return false
end
local result, changed = {'DONE'}, {}
for i = 3, #KEYS do
  local user, new = ARGV[2 * i - 2], ARGV[2 * i - 1]
  local old = redis.call('HGET', KEYS[i], user)
  if not old or beats(new, old) then
    redis.call('HSET', KEYS[i], user, new)
    changed[#changed + 1] = user
    changed[#changed + 1] = new
  elseif new ~= old then
    result[#result + 1] = user
    result[#result + 1] = old
  end
end
if #changed > 0 then
  local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', 'p', last and last[1] or '0-0', unpack(changed))
end
return result";

/// The length of a log, about: with one record for each batch, what is behind it is minutes old.
pub(crate) const LOG_LENGTH: usize = 16_384;
