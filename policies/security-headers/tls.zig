//! Whether a client came over TLS, by what the host tells upstreams of it.

const std = @import("std");
const ergo = @import("ergo");

/// Whether the request that is being answered came over TLS. Clients cannot claim it: the host
/// removes what comes from anybody but trusted proxies. It writes its own word when a request
/// goes on to the upstream, so of one that a policy answered only HTTP/3 is known.
pub fn used() bool {
    if (std.mem.eql(u8, ergo.request.protocol(), "HTTP/3.0")) return true;
    if (ergo.request.headers.get("x-forwarded-proto")) |scheme| return isHttps(scheme);
    return saysHttps(ergo.request.headers.get("forwarded") orelse return false);
}

fn isHttps(scheme: []const u8) bool {
    return std.ascii.eqlIgnoreCase(scheme, "https");
}

/// Reads the proto of the first element, which is of the proxy that the client met (RFC 7239).
fn saysHttps(forwarded: []const u8) bool {
    var quoted = false;
    var start: usize = 0;
    for (forwarded, 0..) |byte, at| {
        if (byte == '"') quoted = !quoted;
        if (quoted or byte != ';' and byte != ',') continue;
        if (proto(forwarded[start..at])) |scheme| return isHttps(scheme);
        if (byte == ',') return false;
        start = at + 1;
    }
    return isHttps(proto(forwarded[start..]) orelse return false);
}

fn proto(pair: []const u8) ?[]const u8 {
    const name = "proto=";
    const text = std.mem.trim(u8, pair, " \t");
    if (!std.ascii.startsWithIgnoreCase(text, name)) return null;
    return std.mem.trim(u8, text[name.len..], "\"");
}

test saysHttps {
    const cases = [_]struct { []const u8, bool }{
        .{ "", false },
        .{ "proto=https", true },
        .{ "proto=http", false },
        .{ "for=192.0.2.7;host=example.com;Proto=\"HTTPS\"", true },
        .{ "for=192.0.2.7;proto=http, for=192.0.2.8;proto=https", false },
        .{ "for=192.0.2.7, proto=https", false },
        .{ "for=\"x;proto=https\"", false },
        .{ "for=\"x,y\"; proto=https", true },
        .{ "xproto=https", false },
        .{ "proto=httpsx", false },
    };
    for (cases) |case| try std.testing.expectEqual(case[1], saysHttps(case[0]));
}
