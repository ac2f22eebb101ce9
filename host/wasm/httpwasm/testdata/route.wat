;; Sends every exchange to the upstream "blue".
(module
  (import "ergo_route" "set_upstream" (func $set_upstream (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "blue")
  (func (export "handle_request") (result i64)
    (drop (call $set_upstream (i32.const 0) (i32.const 4)))
    (i64.const 1))
  (func (export "handle_response") (param i32 i32)))
