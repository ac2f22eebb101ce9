-- Printed by wrk after a run, for the harness to read: one line of name=number pairs.
-- Defining only done() keeps Lua out of the requests themselves.
function done(summary, latency, requests)
    io.write(string.format(
        "bench-report requests=%.0f bytes=%.0f elapsed_us=%.0f p50_us=%.0f p99_us=%.0f " ..
        "connect=%.0f read=%.0f write=%.0f timeout=%.0f status=%.0f\n",
        summary.requests, summary.bytes, summary.duration,
        latency:percentile(50), latency:percentile(99),
        summary.errors.connect, summary.errors.read, summary.errors.write,
        summary.errors.timeout, summary.errors.status))
end
