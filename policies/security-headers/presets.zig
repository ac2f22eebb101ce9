//! What may be configured, and what comes without it.

const std = @import("std");

/// Fields with one text each, under their own names.
pub const Texts = struct {
    @"content-security-policy": ?[]const u8 = null,
    @"content-security-policy-report-only": ?[]const u8 = null,
    @"x-content-type-options": ?[]const u8 = null,
    @"referrer-policy": ?[]const u8 = null,
    @"permissions-policy": ?[]const u8 = null,
    @"cross-origin-opener-policy": ?[]const u8 = null,
    @"cross-origin-embedder-policy": ?[]const u8 = null,
    @"cross-origin-resource-policy": ?[]const u8 = null,
    @"x-frame-options": ?[]const u8 = null,
};

/// Strict-Transport-Security (RFC 6797).
pub const Hsts = struct {
    when: enum { tls, always, never } = .tls,
    max_age: u31 = 365 * 24 * 60 * 60,
    include_subdomains: bool = false,
    preload: bool = false,
};

pub const Config = struct {
    preset: Preset = .basic,
    headers: Texts = .{},
    hsts: ?Hsts = null,
    /// Fields whose value stays where the upstream says one; "*" is all of them.
    keep: []const []const u8 = &.{},
    remove: []const []const u8 = &.{ "server", "x-powered-by", "x-aspnet-version", "x-aspnetmvc-version" },
};

pub const Preset = enum {
    none,
    basic,
    strict,
    api,

    pub fn texts(preset: Preset) Texts {
        return switch (preset) {
            .none => .{},
            .basic => .{
                .@"x-content-type-options" = "nosniff",
                .@"referrer-policy" = "strict-origin-when-cross-origin",
                .@"x-frame-options" = "SAMEORIGIN",
            },
            .strict => .{
                .@"content-security-policy" = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; upgrade-insecure-requests",
                .@"x-content-type-options" = "nosniff",
                .@"referrer-policy" = "no-referrer",
                .@"permissions-policy" = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
                .@"cross-origin-opener-policy" = "same-origin",
                .@"cross-origin-embedder-policy" = "require-corp",
                .@"cross-origin-resource-policy" = "same-origin",
                .@"x-frame-options" = "DENY",
            },
            .api => .{
                .@"content-security-policy" = "default-src 'none'; frame-ancestors 'none'",
                .@"x-content-type-options" = "nosniff",
                .@"referrer-policy" = "no-referrer",
                .@"x-frame-options" = "DENY",
            },
        };
    }

    pub fn hsts(preset: Preset) Hsts {
        return switch (preset) {
            .none => .{ .when = .never },
            .basic, .api => .{},
            .strict => .{ .max_age = 2 * 365 * 24 * 60 * 60, .include_subdomains = true },
        };
    }
};

const testing = std.testing;

test "no preset says what browsers would not read" {
    for (std.enums.values(Preset)) |preset| {
        inline for (@typeInfo(Texts).@"struct".field_names) |name| {
            const text = @field(preset.texts(), name) orelse "x";
            try testing.expect(text.len > 0);
            for (text) |byte| try testing.expect(byte >= ' ' and byte < 0x7f);
        }
    }
}
