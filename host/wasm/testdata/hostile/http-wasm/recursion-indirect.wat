;; calls itself through a table, at another place of it each time
(module
  (memory (export "memory") 1)
  (type $step (func (param i32)))
  (table 2 funcref)
  (elem (i32.const 0) $deeper $deeper)
  (func $deeper (type $step)
    (call_indirect (type $step) (i32.add (local.get 0) (i32.const 1)) (i32.and (local.get 0) (i32.const 1))))
  (func (export "handle_request") (result i64)
    (call $deeper (i32.const 0))
    (i64.const 1))
  (func (export "handle_response") (param i32 i32)))
