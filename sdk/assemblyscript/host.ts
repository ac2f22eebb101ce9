// The host's functions, as the module imports them: those of the http-wasm ABI.

// @ts-ignore: decorator
@external("http_handler", "get_config")
export declare function get_config(buffer: usize, limit: usize): usize;
// @ts-ignore: decorator
@external("http_handler", "log")
export declare function log(level: i32, message: usize, length: usize): void;
// @ts-ignore: decorator
@external("http_handler", "log_enabled")
export declare function log_enabled(level: i32): u32;
// @ts-ignore: decorator
@external("http_handler", "get_method")
export declare function get_method(buffer: usize, limit: usize): usize;
// @ts-ignore: decorator
@external("http_handler", "get_uri")
export declare function get_uri(buffer: usize, limit: usize): usize;
// @ts-ignore: decorator
@external("http_handler", "get_protocol_version")
export declare function get_protocol_version(buffer: usize, limit: usize): usize;
// @ts-ignore: decorator
@external("http_handler", "get_source_addr")
export declare function get_source_addr(buffer: usize, limit: usize): usize;
// @ts-ignore: decorator
@external("http_handler", "get_header_values")
export declare function get_header_values(kind: u32, name: usize, nameLength: usize, buffer: usize, limit: usize): u64;
// @ts-ignore: decorator
@external("http_handler", "set_header_value")
export declare function set_header_value(kind: u32, name: usize, nameLength: usize, value: usize, length: usize): void;
// @ts-ignore: decorator
@external("http_handler", "add_header_value")
export declare function add_header_value(kind: u32, name: usize, nameLength: usize, value: usize, length: usize): void;
// @ts-ignore: decorator
@external("http_handler", "remove_header")
export declare function remove_header(kind: u32, name: usize, nameLength: usize): void;
// @ts-ignore: decorator
@external("http_handler", "write_body")
export declare function write_body(kind: u32, body: usize, length: usize): void;
// @ts-ignore: decorator
@external("http_handler", "get_status_code")
export declare function get_status_code(): u32;
// @ts-ignore: decorator
@external("http_handler", "set_status_code")
export declare function set_status_code(status: u32): void;
