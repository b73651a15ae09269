-- 3.4 KB of JSON that keeps the benchmark's contract.
local items = {}
for number = 1, 50 do
  items[number] = string.format('{"pizza":%d,"quantity":%d,"note":"%s"}', number, number % 5 + 1, string.rep("n", 28))
end
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"items":[' .. table.concat(items, ",") .. "]}"
