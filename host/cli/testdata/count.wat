;; Counts exchanges by ergo_kv and answers with the number, 8 bytes little-endian,
;; or with status 500 and more.
(module
  (import "ergo_kv" "add" (func $add (param i32 i32 i64 i64 i32) (result i32)))
  (import "http_handler" "write_body" (func $write_body (param i32 i32 i32)))
  (import "http_handler" "set_status_code" (func $set_status_code (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "hits")
  (func (export "handle_request") (result i64)
    (local $status i32)
    (local.set $status (call $add (i32.const 0) (i32.const 4) (i64.const 1) (i64.const 0) (i32.const 64)))
    (if (local.get $status)
      (then (call $set_status_code (i32.add (i32.const 500) (local.get $status))))
      (else (call $write_body (i32.const 1) (i32.const 64) (i32.const 8))))
    (i64.const 0))
  (func (export "handle_response") (param i32 i32)))
