-- Bodies for wrk. Environment: FMT = tocsin | alertmanager; MODE = distinct | repeat | quiet; BATCH = events in a request;
-- NDJSON = 1 for lines instead of an array; AUTH = Authorization header; SALT = makes the runs of one sitting distinct.
local fmt   = os.getenv("FMT") or "tocsin"
local mode  = os.getenv("MODE") or "distinct"
local batch = tonumber(os.getenv("BATCH") or "1")
local lines = os.getenv("NDJSON") == "1"
local auth  = os.getenv("AUTH")
local salt  = os.getenv("SALT") or "s"
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
  if mode == "repeat" then return "same-" .. k end
  n = n + 1
  return salt .. "-" .. tid .. "-" .. n
end

-- About 400 bytes each, with the same information in both forms.
local make = {
  alertmanager = function(k)
    return '{"labels":{"alertname":"DiskFull","instance":"' .. name(k)
      .. '","severity":"warning","job":"node","environment":"production"},"annotations":{"summary":"disk almost full","description":"'
      .. text .. '"},"generatorURL":"http://example.org/graph"}'
  end,
  tocsin = function(k)
    local status = mode == "quiet" and '"info"' or '"problem"'
    return '{"type":"disk.full","subject":"' .. name(k) .. '","severity":3,"status":' .. status
      .. ',"title":"disk almost full","message":"' .. text
      .. '","attributes":{"job":"node","environment":"production","url":"http://example.org/graph"}}'
  end,
}

local fixed

function request()
  if fixed then return fixed end
  local members = {}
  for k = 1, batch do members[k] = make[fmt](k) end
  local body
  if lines then body = table.concat(members, "\n") .. "\n"
  elseif batch == 1 and fmt == "tocsin" then body = members[1]
  else body = "[" .. table.concat(members, ",") .. "]" end
  local made = wrk.format(nil, nil, nil, body)
  if mode == "repeat" then fixed = made end
  return made
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('JSON {"requests_s":%.1f,"items_s":%.1f,"requests":%d,"p50_ms":%.3f,"p99_ms":%.3f,"bad":%d}\n',
    summary.requests / summary.duration * 1e6, summary.requests * batch / summary.duration * 1e6, summary.requests,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, errors.connect + errors.status + errors.timeout + errors.read))
end
