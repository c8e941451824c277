-- One load for both systems. wrk … -s load.lua URL -- SYSTEM WORK [SPACE]
--   SYSTEM  raftkv, http-alone, etcd-v3 (the JSON gateway) or etcd-v2 (the older HTTP interface)
--   WORK    writes, consistent, stale, or mixed (nine consistent reads to one write)
--   SPACE   the 10,000 keys are spread evenly over that many (default 10,000)
-- Keys of 16 bytes over 10,000, values of 256 bytes. Prints one line of JSON at the end.
local keys = 10000
local value = string.rep("v", 256)
local step = 1
local mixed = false
local reads, writes = {}, {}

local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local function base64(text)
  local out = {}
  for i = 1, #text, 3 do
    local a, b, c = text:byte(i, i + 2)
    local n = a * 65536 + (b or 0) * 256 + (c or 0)
    for shift = 18, 0, -6 do
      local digit = math.floor(n / 2 ^ shift) % 64
      out[#out + 1] = alphabet:sub(digit + 1, digit + 1)
    end
    if not b then out[#out - 1] = "=" end
    if not c then out[#out] = "=" end
  end
  return table.concat(out)
end

local systems = {
  ["raftkv"] = {
    write = function(key) return wrk.format("PUT", "/key/" .. key, nil, value) end,
    read = function(key, level) return wrk.format("GET", "/key/" .. key .. "?raw&level=" .. level) end,
  },
  ["etcd-v3"] = {
    write = function(key)
      local body = string.format('{"key":"%s","value":"%s"}', base64(key), base64(value))
      return wrk.format("POST", "/v3/kv/put", { ["Content-Type"] = "application/json" }, body)
    end,
    read = function(key, level)
      local serializable = level == "stale" and ',"serializable":true' or ""
      local body = string.format('{"key":"%s"%s}', base64(key), serializable)
      return wrk.format("POST", "/v3/kv/range", { ["Content-Type"] = "application/json" }, body)
    end,
  },
  ["etcd-v2"] = {
    write = function(key)
      local form = { ["Content-Type"] = "application/x-www-form-urlencoded" }
      return wrk.format("PUT", "/v2/keys/" .. key, form, "value=" .. value)
    end,
    read = function(key, level)
      return wrk.format("GET", "/v2/keys/" .. key .. (level == "stale" and "" or "?quorum=true"))
    end,
  },
}

systems["http-alone"] = systems["raftkv"]

local function fill(into, make, level)
  for i = 0, keys - 1 do into[i] = make(string.format("key-%012d", i * step), level) end
end

local threads = 0
function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  local system, work = systems[args[1]], args[2]
  step = math.max(1, math.floor(tonumber(args[3] or keys) / keys))
  if work == "writes" or work == "mixed" or work == "fill" then fill(writes, system.write) end
  if work == "consistent" or work == "mixed" then fill(reads, system.read, "consistent") end
  if work == "stale" then fill(reads, system.read, "stale") end
  mixed = work == "mixed"
  sequential = work == "fill"
  following = 0
  math.randomseed(os.time() * 100 + number)
end

function request()
  if sequential then
    following = (following + 1) % keys
    return writes[following]
  end
  local key = math.random(0, keys - 1)
  if mixed then return (math.random(10) == 1 and writes or reads)[key] end
  return (reads[key] or writes[key])
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"seconds":%.6f,"failed":%d,"p50_ms":%.4f,"p99_ms":%.4f,"p999_ms":%.4f,"max_ms":%.4f}\n',
    summary.requests, summary.duration / 1e6,
    errors.status + errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3,
    latency.max / 1e3))
end
