;; puts a segment into memory, and another one into its table, again and again
(module
  (memory (export "memory") 1)
  (table $t 2 funcref)
  (func $nothing)
  (elem $functions func $nothing $nothing)
  (data $text "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
  (func (export "handle_request") (result i64)
    (loop $again
      (memory.init $text (i32.const 0) (i32.const 0) (i32.const 64))
      (table.init $t $functions (i32.const 0) (i32.const 0) (i32.const 2))
      (br $again))
    (i64.const 1))
  (func (export "handle_response") (param i32 i32)))
