//! Policies in Zig: the http-wasm ABI, a strict reader for configurations, and memory that
//! is gone with the phase. See README.md.
//!
//! A policy is a struct with
//!
//!     pub const Config = struct { ... };          // what its configuration may say
//!     pub fn configure(config: Config) Policy     // once in an instance
//!     pub fn request(policy: *const Policy) Flow  // may be left out
//!     pub fn response(policy: *const Policy, failed: bool) void // may be left out
//!
//! and `comptime { ergo.register(Policy); }` makes it the one of the module.

const std = @import("std");
const host = @import("host.zig");
const configuration = @import("config.zig");

/// What happens to an exchange after a request phase.
pub const Flow = enum(u64) {
    /// The policy has answered.
    answer = 0,
    /// The request goes on.
    proceed = 1,
};

/// Exports the functions of the ABI for a policy. The configuration is read when the host
/// starts the instance (`_initialize`), or with the first request in hosts that do not call
/// that.
pub fn register(comptime Policy: type) void {
    const module = struct {
        var policy: ?Policy = null;

        fn get() *const Policy {
            if (policy == null) {
                const text = read(kept.allocator(), host.get_config);
                policy = Policy.configure(configuration.parse(Policy.Config, kept.allocator(), text));
            }
            return &policy.?;
        }

        fn initialize() callconv(.c) void {
            _ = get();
        }

        fn handleRequest() callconv(.c) u64 {
            const self = get();
            _ = taken.reset(.{ .retain_with_limit = retained });
            return @intFromEnum(if (@hasDecl(Policy, "request")) self.request() else Flow.proceed);
        }

        fn handleResponse(context: u32, failed: u32) callconv(.c) void {
            _ = context;
            const self = get();
            _ = taken.reset(.{ .retain_with_limit = retained });
            if (@hasDecl(Policy, "response")) self.response(failed != 0);
        }
    };
    @export(&module.initialize, .{ .name = "_initialize" });
    @export(&module.handleRequest, .{ .name = "handle_request" });
    @export(&module.handleResponse, .{ .name = "handle_response" });
}

// ---- memory ------------------------------------------------------------------------

/// Bytes that are kept at hand from one phase to the next.
const retained = 64 << 10;

var kept: std.heap.ArenaAllocator = .init(std.heap.wasm_allocator);
var taken: std.heap.ArenaAllocator = .init(std.heap.wasm_allocator);

/// Memory for the time of the instance: for `configure`.
pub fn lasting() std.mem.Allocator {
    return kept.allocator();
}

/// Memory for the time of a phase.
pub fn passing() std.mem.Allocator {
    return taken.allocator();
}

/// Ends the instance where there is no memory left.
pub fn exhausted() noreturn {
    fail("out of memory");
}

// ---- the exchange -------------------------------------------------------------------

/// What is read is valid until the end of the phase.
pub const request = struct {
    pub fn method() []const u8 {
        return read(passing(), host.get_method);
    }

    /// Path and query, encoded.
    pub fn target() []const u8 {
        return read(passing(), host.get_uri);
    }

    /// "HTTP/1.1", "HTTP/2.0" or "HTTP/3.0".
    pub fn protocol() []const u8 {
        return read(passing(), host.get_protocol_version);
    }

    /// Address and port of the client, as the host established it: "192.0.2.7:4711".
    pub fn client() []const u8 {
        return read(passing(), host.get_source_addr);
    }

    pub const headers: Headers = .{ .kind = 0 };
};

pub const response = struct {
    pub fn status() u32 {
        return host.get_status_code();
    }

    pub fn setStatus(code: u32) void {
        host.set_status_code(code);
    }

    pub const headers: Headers = .{ .kind = 1 };
};

/// Answers a request with a text.
pub fn answer(status: u32, text: []const u8) Flow {
    host.set_status_code(status);
    response.headers.set("content-type", "text/plain; charset=utf-8");
    host.write_body(1, text.ptr, text.len);
    return .answer;
}

/// The fields of one side. Names are compared without case.
pub const Headers = struct {
    kind: u32,

    /// Whether a field is there at all.
    pub fn has(headers: Headers, name: []const u8) bool {
        var none: [1]u8 = undefined;
        return host.get_header_values(headers.kind, name.ptr, name.len, &none, 0) >> 32 > 0;
    }

    /// The values of a field, in order.
    pub fn values(headers: Headers, name: []const u8) Values {
        var buffer = room(passing(), guess);
        var got = host.get_header_values(headers.kind, name.ptr, name.len, buffer.ptr, buffer.len);
        const length: u32 = @truncate(got);
        if (length > buffer.len) {
            buffer = room(passing(), length);
            got = host.get_header_values(headers.kind, name.ptr, name.len, buffer.ptr, buffer.len);
        }
        return .{ .left = buffer[0..length], .count = @intCast(got >> 32) };
    }

    /// The first value of a field.
    pub fn get(headers: Headers, name: []const u8) ?[]const u8 {
        var all = headers.values(name);
        return all.next();
    }

    /// Leaves a field with one value.
    pub fn set(headers: Headers, name: []const u8, value: []const u8) void {
        host.set_header_value(headers.kind, name.ptr, name.len, value.ptr, value.len);
    }

    /// Adds a value to those that are there.
    pub fn add(headers: Headers, name: []const u8, value: []const u8) void {
        host.add_header_value(headers.kind, name.ptr, name.len, value.ptr, value.len);
    }

    pub fn remove(headers: Headers, name: []const u8) void {
        host.remove_header(headers.kind, name.ptr, name.len);
    }
};

/// The values of a field, each with a NUL behind it.
pub const Values = struct {
    left: []const u8,
    count: u32,

    pub fn next(values: *Values) ?[]const u8 {
        if (values.count == 0) return null;
        values.count -= 1;
        const end = std.mem.findScalar(u8, values.left, 0) orelse values.left.len;
        defer values.left = values.left[@min(end + 1, values.left.len)..];
        return values.left[0..end];
    }
};

/// What most texts of an exchange fit in.
const guess = 512;

/// Asks one of the host's getters, and once more where there was too little room.
fn read(allocator: std.mem.Allocator, get: *const fn (buffer: [*]u8, limit: usize) callconv(.c) usize) []u8 {
    const buffer = room(allocator, guess);
    const length = get(buffer.ptr, buffer.len);
    if (length <= buffer.len) return buffer[0..length];
    const larger = room(allocator, length);
    return larger[0..@min(length, get(larger.ptr, larger.len))];
}

fn room(allocator: std.mem.Allocator, length: usize) []u8 {
    return allocator.alloc(u8, length) catch exhausted();
}

// ---- the log --------------------------------------------------------------------------

pub const Level = enum(i32) { debug = -1, info = 0, warn = 1, err = 2 };

/// Whether anybody reads lines of a level.
pub fn logEnabled(level: Level) bool {
    return host.log_enabled(@intFromEnum(level)) != 0;
}

/// Writes a line to the host's log.
pub fn log(level: Level, message: []const u8) void {
    host.log(@intFromEnum(level), message.ptr, message.len);
}

/// Logs why the policy cannot go on, and ends the instance: the failure rule of the stage
/// decides, or the configuration is refused.
pub fn fail(reason: []const u8) noreturn {
    log(.err, reason);
    @trap();
}

/// For the root file, so that a panic says why: `pub const panic = ergo.panic;`
pub const panic = std.debug.FullPanic(struct {
    fn panic(message: []const u8, _: ?usize) noreturn {
        fail(message);
    }
}.panic);
