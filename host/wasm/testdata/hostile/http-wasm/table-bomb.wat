;; grows its table as far as it gets, and fills it again and again
(module
  (memory (export "memory") 1)
  (table $t 1 funcref)
  (func (export "handle_request") (result i64)
    (loop $more
      (br_if $more (i32.ne (table.grow $t (ref.null func) (i32.const 4096)) (i32.const -1))))
    (loop $again
      (table.fill $t (i32.const 0) (ref.null func) (table.size $t))
      (br $again))
    (i64.const 1))
  (func (export "handle_response") (param i32 i32)))
