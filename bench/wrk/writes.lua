-- PUT /key/K: 16-byte keys over 10,000, 256-byte values. For wrk; see docs/performance.md.
local value = string.rep("v", 256)
local requests = {}

function init()
  for i = 0, 9999 do
    requests[i] = wrk.format("PUT", string.format("/key/key-%012d", i), nil, value)
  end
  math.randomseed(os.time())
end

function request()
  return requests[math.random(0, 9999)]
end

-- An answer that is no success makes the run worthless: say so.
function done(summary)
  local errors = summary.errors
  if errors.status + errors.connect + errors.read + errors.write + errors.timeout > 0 then
    io.write(string.format("VOID: %d answers were no success\n",
      errors.status + errors.connect + errors.read + errors.write + errors.timeout))
  end
end
