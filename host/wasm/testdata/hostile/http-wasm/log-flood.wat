;; logs lines of 32 KiB without end
(module
  (import "http_handler" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "handle_request") (result i64)
    (memory.fill (i32.const 0) (i32.const 97) (i32.const 32768))
    (loop $again
      (call $log (i32.const 2) (i32.const 0) (i32.const 32768))
      (br $again))
    (i64.const 1))
  (func (export "handle_response") (param i32 i32)))
