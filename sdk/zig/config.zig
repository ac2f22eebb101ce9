//! Reads a configuration into the type that a policy has for it. What is not as the type
//! says is logged with its place ("config.hsts.max_age: expected a whole number") and ends
//! the instance, so a policy never runs half configured.

const std = @import("std");
const ergo = @import("ergo.zig");

/// Reads a value of T: a struct (fields without a default have to be there, others have to be
/// known), a slice, a text, an enum by name, an integer, a bool, or an optional of these. No
/// bytes at all are {}.
pub fn parse(comptime T: type, allocator: std.mem.Allocator, text: []const u8) T {
    const json = if (text.len == 0) "{}" else text;
    const value = std.json.parseFromSliceLeaky(std.json.Value, allocator, json, .{
        .duplicate_field_behavior = .@"error",
    }) catch ergo.fail("config: not valid JSON");
    return read(T, allocator, value, .{ .name = "config" });
}

/// A place in the configuration, by way of what it is in.
const Place = struct {
    within: ?*const Place = null,
    name: []const u8 = "",
    index: usize = 0,

    fn refuse(place: *const Place, problem: []const u8) noreturn {
        var line: [512]u8 = undefined;
        var writer: std.Io.Writer = .fixed(&line);
        place.write(&writer) catch {}; // what does not fit is left out
        writer.print(": {s}", .{problem}) catch {};
        ergo.fail(writer.buffered());
    }

    fn write(place: *const Place, writer: *std.Io.Writer) std.Io.Writer.Error!void {
        const within = place.within orelse return writer.writeAll(place.name);
        try within.write(writer);
        if (place.name.len == 0) return writer.print("[{d}]", .{place.index});
        return writer.print(".{s}", .{place.name});
    }
};

fn read(comptime T: type, allocator: std.mem.Allocator, value: std.json.Value, place: Place) T {
    switch (@typeInfo(T)) {
        .optional => |optional| return read(optional.child, allocator, value, place),
        .bool => return if (value == .bool) value.bool else place.refuse("expected true or false"),
        .int => return integer(T, value, place),
        .@"enum" => return std.meta.stringToEnum(T, string(value, place)) orelse
            place.refuse("expected one of" ++ comptime names(T)),
        .@"struct" => return object(T, allocator, value, place),
        .pointer => |pointer| {
            if (pointer.child == u8) return string(value, place);
            if (value != .array) place.refuse("expected a list");
            const list = allocator.alloc(pointer.child, value.array.items.len) catch ergo.exhausted();
            for (value.array.items, list, 0..) |item, *element, index| {
                element.* = read(pointer.child, allocator, item, .{ .within = &place, .index = index });
            }
            return list;
        },
        else => @compileError("a configuration cannot have a " ++ @typeName(T)),
    }
}

fn integer(comptime T: type, value: std.json.Value, place: Place) T {
    const whole: ?T = if (value == .integer) std.math.cast(T, value.integer) else null;
    return whole orelse place.refuse(std.fmt.comptimePrint(
        "expected a whole number from {d} to {d}",
        .{ std.math.minInt(T), std.math.maxInt(T) },
    ));
}

fn string(value: std.json.Value, place: Place) []const u8 {
    return if (value == .string) value.string else place.refuse("expected a string");
}

fn object(comptime T: type, allocator: std.mem.Allocator, value: std.json.Value, place: Place) T {
    if (value != .object) place.refuse("expected an object");
    const info = @typeInfo(T).@"struct";
    var made: T = undefined;
    var known: usize = 0;
    inline for (info.field_names, info.field_types, info.field_attrs) |name, Field, attributes| {
        if (value.object.get(name)) |member| {
            known += 1;
            @field(made, name) = read(Field, allocator, member, .{ .within = &place, .name = name });
        } else {
            @field(made, name) = attributes.defaultValue(Field) orelse place.refuse(name ++ " is missing");
        }
    }
    if (known < value.object.count()) refuseUnknown(T, value, place);
    return made;
}

fn refuseUnknown(comptime T: type, value: std.json.Value, place: Place) noreturn {
    for (value.object.keys()) |key| {
        const member: Place = .{ .within = &place, .name = key };
        if (std.meta.stringToEnum(std.meta.FieldEnum(T), key) == null) member.refuse("is not a known key");
    }
    unreachable;
}

/// The names of an enum, each behind a space.
fn names(comptime T: type) []const u8 {
    comptime var list: []const u8 = "";
    inline for (@typeInfo(T).@"enum".field_names) |name| list = list ++ " " ++ name;
    return list;
}
