-- GET /key/K?level=LEVEL over the keys that writes.lua writes. wrk … -s reads.lua URL -- [LEVEL]
local requests = {}

function init(args)
  local level = args[1] or "consistent"
  for i = 0, 9999 do
    requests[i] = wrk.format("GET", string.format("/key/key-%012d?raw&level=%s", i, level))
  end
  math.randomseed(os.time())
end

function request()
  return requests[math.random(0, 9999)]
end

function done(summary)
  local errors = summary.errors
  if errors.status + errors.connect + errors.read + errors.write + errors.timeout > 0 then
    io.write(string.format("VOID: %d answers were no success\n",
      errors.status + errors.connect + errors.read + errors.write + errors.timeout))
  end
end
