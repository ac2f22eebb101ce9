;; begins with a table of 32 GiB
(module
  (memory (export "memory") 1)
  (table 4294967295 funcref)
  (func (export "handle_request") (result i64) (i64.const 1))
  (func (export "handle_response") (param i32 i32)))
