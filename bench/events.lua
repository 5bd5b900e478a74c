-- Bodies for wrk, about 400 bytes an event, with the same information for both servers. Environment: FMT = tocsin |
-- alertmanager; MODE = distinct | repeat | recorded; BATCH = events in a request; NDJSON = 1 for lines instead of an array;
-- AUTH = Authorization header.
local fmt   = os.getenv("FMT") or "tocsin"
local mode  = os.getenv("MODE") or "distinct"
local batch = tonumber(os.getenv("BATCH") or "1")
local lines = os.getenv("NDJSON") == "1"
local auth  = os.getenv("AUTH")
local n = 0
local threads = 0

function setup(thread)
  thread:set("tid", threads)
  threads = threads + 1
end

function init(args)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = lines and "application/x-ndjson" or "application/json"
  if auth then wrk.headers["Authorization"] = auth end
end

local text = "Filesystem /var on this host has less than five percent of its space left; writes will soon fail. "
  .. "Runbook: clean old journals, grow the volume, then resolve."

local function name(k)
  if mode ~= "distinct" then return "same-" .. k end
  n = n + 1
  return "new-" .. tid .. "-" .. n
end

local make = {
  alertmanager = function(k)
    return '{"labels":{"alertname":"DiskFull","instance":"' .. name(k)
      .. '","severity":"warning","job":"node","environment":"production"},"annotations":{"summary":"disk almost full","description":"'
      .. text .. '"},"generatorURL":"http://example.org/graph"}'
  end,
  tocsin = function(k)
    return '{"type":"disk.full","subject":"' .. name(k) .. '","severity":3,"status":"' .. (mode == "recorded" and "info" or "problem")
      .. '","title":"disk almost full","message":"' .. text
      .. '","attributes":{"job":"node","environment":"production","url":"http://example.org/graph"}}'
  end,
}

local function body()
  local members = {}
  for k = 1, batch do members[k] = make[fmt](k) end
  if lines then return table.concat(members, "\n") .. "\n" end
  if batch == 1 and fmt == "tocsin" then return members[1] end
  return "[" .. table.concat(members, ",") .. "]"
end

local fixed -- repeats and recorded events need no new names: the body is made once and costs the generator nothing

function request()
  if fixed then return fixed end
  local made = wrk.format(nil, nil, nil, body())
  if mode ~= "distinct" then fixed = made end
  return made
end

function done(summary, latency)
  local errors = summary.errors
  local good = (summary.requests - errors.status) / summary.duration * 1e6
  io.write(string.format('JSON {"requests_s":%.1f,"events_s":%.1f,"p50_ms":%.3f,"p99_ms":%.3f,"bad":%d}\n',
    good, good * batch, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.status + errors.timeout + errors.read + errors.write))
end
