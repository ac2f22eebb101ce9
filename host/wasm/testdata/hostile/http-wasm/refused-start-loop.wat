;; does not end its start function
(module
  (memory (export "memory") 1)
  (start $spin)
  (func $spin (loop $again (br $again)))
  (func (export "handle_request") (result i64) (i64.const 1))
  (func (export "handle_response") (param i32 i32)))
