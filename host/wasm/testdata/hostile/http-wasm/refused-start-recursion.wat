;; calls itself without end as it starts
(module
  (memory (export "memory") 1)
  (func $deeper (export "_initialize") (call $deeper))
  (func (export "handle_request") (result i64) (i64.const 1))
  (func (export "handle_response") (param i32 i32)))
