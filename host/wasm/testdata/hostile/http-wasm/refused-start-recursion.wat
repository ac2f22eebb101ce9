;; calls itself without end in its start function. It changes a table, so that the
;; host can't make its instances otherwise than by starting them.
(module
  (memory (export "memory") 1)
  (table 1 funcref)
  (start $deeper)
  (func $deeper (call $deeper))
  (func (export "handle_request") (result i64)
    (table.set (i32.const 0) (ref.null func))
    (i64.const 1))
  (func (export "handle_response") (param i32 i32)))
