;; begins with more memory than a policy may have
(module
  (memory (export "memory") 65536)
  (func (export "handle_request") (result i64) (i64.const 1))
  (func (export "handle_response") (param i32 i32)))
