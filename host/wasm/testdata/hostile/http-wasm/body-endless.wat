;; answers with a body that does not end
(module
  (import "http_handler" "write_body" (func $write_body (param i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "handle_request") (result i64)
    (loop $again
      (call $write_body (i32.const 1) (i32.const 0) (i32.const 65536))
      (br $again))
    (i64.const 1))
  (func (export "handle_response") (param i32 i32)))
