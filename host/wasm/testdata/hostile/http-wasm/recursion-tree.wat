;; calls itself twice, sixty deep: that is neither a loop nor deep, and takes years
(module
  (memory (export "memory") 1)
  (func $twice (param $left i32)
    (if (i32.eqz (local.get $left)) (then (return)))
    (call $twice (i32.sub (local.get $left) (i32.const 1)))
    (call $twice (i32.sub (local.get $left) (i32.const 1))))
  (func (export "handle_request") (result i64)
    (call $twice (i32.const 60))
    (i64.const 1))
  (func (export "handle_response") (param i32 i32)))
