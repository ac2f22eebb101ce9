;; takes all memory it can get, and touches all of it again and again
(module
  (memory (export "memory") 1)
  (func (export "handle_request") (result i64) (local $at i32)
    (loop $more
      (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
    (loop $touch
      (i32.store (local.get $at) (local.get $at))
      (local.set $at (i32.add (local.get $at) (i32.const 4096)))
      (if (i32.ge_u (local.get $at) (i32.mul (memory.size) (i32.const 65536)))
        (then (local.set $at (i32.const 0))))
      (br $touch))
    (i64.const 1))
  (func (export "handle_response") (param i32 i32)))
