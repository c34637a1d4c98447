-- One request header says who is signed in. Arguments: how many users there are, and from which one on;
-- without the second the users come in an order without pattern, with it each comes once.
local requests, users, from, multiplier = {}, 0, nil, 7919

function init(args)
  users, from = tonumber(args[1]), tonumber(args[2])
  if not from then
    for n = 0, users - 1 do requests[n] = ask(n) end
  end
end

function ask(n)
  return wrk.format(nil, nil, { ["x-user"] = string.format("user-%07d", n) })
end

local at = 0
function request()
  if from then
    from = from + 1
    return ask(from - 1)
  end
  at = (at + multiplier) % users
  return requests[at]
end
