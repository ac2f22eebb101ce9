;; adds fields without end
(module
  (import "http_handler" "add_header_value" (func $add_header_value (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "x-bomb")
  (func (export "handle_request") (result i64)
    (loop $again
      (call $add_header_value (i32.const 0) (i32.const 0) (i32.const 6) (i32.const 0) (i32.const 6))
      (br $again))
    (i64.const 1))
  (func (export "handle_response") (param i32 i32)))
