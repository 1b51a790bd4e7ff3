-- Logs in, as one of the users bench0 to bench15, and counts the answers.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init()
  math.randomseed(os.time())
  accepted, busy, other = 0, 0, 0
end

function request()
  local body = string.format('{"username": "bench%d", "password": "securepass"}', math.random(0, 15))
  return wrk.format("POST", "/auth/login", {["Content-Type"] = "application/json"}, body)
end

function response(status)
  if status == 200 then accepted = accepted + 1
  elseif status == 503 then busy = busy + 1
  else other = other + 1 end
end

function done(summary)
  local ok, full, wrong = 0, 0, 0
  for _, thread in ipairs(threads) do
    ok = ok + thread:get("accepted")
    full = full + thread:get("busy")
    wrong = wrong + thread:get("other")
  end
  io.write(string.format("logins %.1f %d %d %d\n", ok / (summary.duration / 1e6), ok, full, wrong))
end
