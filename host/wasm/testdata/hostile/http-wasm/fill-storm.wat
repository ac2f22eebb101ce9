;; fills all its memory again and again
(module
  (memory (export "memory") 48)
  (func (export "handle_request") (result i64)
    (loop $again
      (memory.fill (i32.const 0) (i32.const 7) (i32.mul (memory.size) (i32.const 65536)))
      (br $again))
    (i64.const 1))
  (func (export "handle_response") (param i32 i32)))
