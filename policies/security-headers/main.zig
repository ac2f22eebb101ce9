//! Sets the fields of responses that tell browsers to be careful, and removes those that tell
//! strangers too much. See README.md.

const std = @import("std");
const ergo = @import("ergo");
const presets = @import("presets.zig");

pub const panic = ergo.panic;

comptime {
    if (!@import("builtin").is_test) ergo.register(SecurityHeaders);
}

const transport_security = "strict-transport-security";

const Field = struct {
    name: []const u8,
    value: []const u8,
    keep: bool, // the upstream's, if there is one

    fn put(field: Field) void {
        const headers = ergo.response.headers;
        if (!field.keep or !headers.has(field.name)) headers.set(field.name, field.value);
    }
};

const SecurityHeaders = struct {
    pub const Config = presets.Config;

    fields: []const Field,
    /// Null: what the upstream says stays.
    hsts: ?Field,
    over_tls_only: bool,
    remove: []const []const u8,

    pub fn configure(config: Config) SecurityHeaders {
        const preset = config.preset.texts();
        var fields: std.ArrayList(Field) = .empty;
        inline for (@typeInfo(presets.Texts).@"struct".field_names) |name| {
            const value = @field(config.headers, name) orelse @field(preset, name) orelse "";
            checkValue("config.headers." ++ name, value);
            if (value.len > 0) fields.append(ergo.lasting(), make(config, name, value)) catch ergo.exhausted();
        }
        for (config.remove) |name| checkName("config.remove", name);
        const hsts = config.hsts orelse config.preset.hsts();
        return .{
            .fields = fields.items,
            .hsts = if (hsts.when == .never) null else make(config, transport_security, valueOf(hsts)),
            .over_tls_only = hsts.when == .tls,
            .remove = config.remove,
        };
    }

    pub fn response(policy: *const SecurityHeaders, failed: bool) void {
        _ = failed; // the host's own errors are pages too
        for (policy.remove) |name| ergo.response.headers.remove(name);
        for (policy.fields) |one| one.put();
        const hsts = policy.hsts orelse return;
        // RFC 6797, 7.2: not over a transport that is not secure, whoever says it.
        if (policy.over_tls_only and !secure()) return ergo.response.headers.remove(hsts.name);
        hsts.put();
    }
};

extern "ergo_connection" fn scheme(buffer: [*]u8, limit: usize) usize;

/// Whether the client came over TLS.
fn secure() bool {
    var buffer: [8]u8 = undefined;
    const length = scheme(&buffer, buffer.len);
    return length <= buffer.len and std.mem.eql(u8, buffer[0..length], "https");
}

fn make(config: presets.Config, name: []const u8, value: []const u8) Field {
    const keep = for (config.keep) |kept| {
        if (std.mem.eql(u8, kept, "*") or std.ascii.eqlIgnoreCase(kept, name)) break true;
    } else false;
    return .{ .name = name, .value = value, .keep = keep };
}

fn valueOf(hsts: presets.Hsts) []const u8 {
    const year = 365 * 24 * 60 * 60;
    if (hsts.preload and (!hsts.include_subdomains or hsts.max_age < year)) {
        ergo.fail("config.hsts: preload takes include_subdomains and a max_age of a year, 31536000, or browsers' lists refuse it");
    }
    return ergo.lasting().print("max-age={d}{s}{s}", .{
        hsts.max_age,
        if (hsts.include_subdomains) "; includeSubDomains" else "",
        if (hsts.preload) "; preload" else "",
    }) catch ergo.exhausted();
}

fn checkValue(comptime place: []const u8, value: []const u8) void {
    for (value) |byte| {
        if (byte < ' ' or byte == 0x7f) ergo.fail(place ++ ": expected text without control characters");
    }
}

fn checkName(comptime place: []const u8, name: []const u8) void {
    for (name) |byte| {
        const mark = std.mem.findScalar(u8, "!#$%&'*+-.^_`|~", byte) != null;
        if (!mark and !std.ascii.isAlphanumeric(byte)) ergo.fail(place ++ ": expected names of header fields");
    }
    if (name.len == 0) ergo.fail(place ++ ": expected names of header fields");
}

test {
    _ = presets;
}
