;; sets fields to a megabyte each
(module
  (import "http_handler" "set_header_value" (func $set_header_value (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 17)
  (data (i32.const 0) "x-bomb")
  (func (export "handle_request") (result i64)
    (memory.fill (i32.const 8) (i32.const 97) (i32.const 1048576))
    (loop $again
      (call $set_header_value (i32.const 0) (i32.const 0) (i32.const 6) (i32.const 8) (i32.const 1048576))
      (br $again))
    (i64.const 1))
  (func (export "handle_response") (param i32 i32)))
