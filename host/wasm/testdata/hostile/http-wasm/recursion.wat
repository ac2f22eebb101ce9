;; calls itself without end
(module
  (memory (export "memory") 1)
  (func $deeper (call $deeper))
  (func (export "handle_request") (result i64)
    (call $deeper)
    (i64.const 1))
  (func (export "handle_response") (param i32 i32)))
