//! The host's functions, as the module imports them: those of the http-wasm ABI. What is not
//! called is not imported.

pub extern "http_handler" fn get_config(buffer: [*]u8, limit: usize) usize;
pub extern "http_handler" fn log(level: i32, message: [*]const u8, length: usize) void;
pub extern "http_handler" fn log_enabled(level: i32) u32;
pub extern "http_handler" fn get_method(buffer: [*]u8, limit: usize) usize;
pub extern "http_handler" fn get_uri(buffer: [*]u8, limit: usize) usize;
pub extern "http_handler" fn get_protocol_version(buffer: [*]u8, limit: usize) usize;
pub extern "http_handler" fn get_source_addr(buffer: [*]u8, limit: usize) usize;
pub extern "http_handler" fn get_header_values(kind: u32, name: [*]const u8, name_length: usize, buffer: [*]u8, limit: usize) u64;
pub extern "http_handler" fn set_header_value(kind: u32, name: [*]const u8, name_length: usize, value: [*]const u8, length: usize) void;
pub extern "http_handler" fn add_header_value(kind: u32, name: [*]const u8, name_length: usize, value: [*]const u8, length: usize) void;
pub extern "http_handler" fn remove_header(kind: u32, name: [*]const u8, length: usize) void;
pub extern "http_handler" fn write_body(kind: u32, body: [*]const u8, length: usize) void;
pub extern "http_handler" fn get_status_code() u32;
pub extern "http_handler" fn set_status_code(status: u32) void;
