;; does as allocators do when memory is refused
(module
  (memory (export "memory") 1)
  (func (export "handle_request") (result i64)
    (loop $more
      (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
    (unreachable)
    (i64.const 1))
  (func (export "handle_response") (param i32 i32)))
