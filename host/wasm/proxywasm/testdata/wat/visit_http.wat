;; What visit.wat does, for the ABI of http-wasm.
(module
  (import "http_handler" "get_header_values" (func $get (param i32 i32 i32 i32 i32) (result i64)))
  (import "http_handler" "set_header_value" (func $set (param i32 i32 i32 i32 i32)))

  (memory (export "memory") 1)
  (data (i32.const 16) "x-api-keyx-seen")

  (func (export "handle_request") (result i64)
    ;; one value, which ends with a NUL that is counted
    (call $set (i32.const 0) (i32.const 25) (i32.const 6) (i32.const 1024)
      (i32.sub (i32.wrap_i64 (call $get (i32.const 0) (i32.const 16) (i32.const 9) (i32.const 1024) (i32.const 2048)))
        (i32.const 1)))
    (i64.const 1))
  (func (export "handle_response") (param i32 i32)))
