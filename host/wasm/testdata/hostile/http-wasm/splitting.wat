;; tries to write a message of its own into one that passes, in the way that the last
;; byte of the target names, from "0" on
(module
  (import "http_handler" "get_uri" (func $get_uri (param i32 i32) (result i32)))
  (import "http_handler" "set_uri" (func $set_uri (param i32 i32)))
  (import "http_handler" "set_method" (func $set_method (param i32 i32)))
  (import "http_handler" "set_header_value" (func $set (param i32 i32 i32 i32 i32)))
  (import "http_handler" "add_header_value" (func $add (param i32 i32 i32 i32 i32)))
  (import "http_handler" "write_body" (func $write_body (param i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "x-a")
  (data (i32.const 16) "b\r\nx-split: 1")    ;; 13 bytes
  (data (i32.const 48) "x-a: b\r\nx-split")   ;; 15
  (data (i32.const 80) "/ HTTP/1.1\r\nx-split: 1\r\n\r\n") ;; 26
  (data (i32.const 112) "GET / HTTP/1.1\r\nx-split: 1\r\nx:") ;; 31
  (data (i32.const 160) "b\nx-split: 1")      ;; 12
  (data (i32.const 192) "b\00x-split: 1")     ;; 12
  (data (i32.const 224) "host")
  (data (i32.const 240) "a\r\nx-split: 1")    ;; 13
  (data (i32.const 272) "transfer-encoding")   ;; 17
  (data (i32.const 304) "chunked")
  (data (i32.const 320) "content-length")      ;; 14
  (data (i32.const 336) "0")
  (func (export "handle_request") (result i64) (local $way i32)
    (local.set $way (i32.sub
      (i32.load8_u (i32.add (i32.const 1023) (call $get_uri (i32.const 1024) (i32.const 1024))))
      (i32.const 48)))
    (block $8 (block $7 (block $6 (block $5 (block $4 (block $3 (block $2 (block $1 (block $0
      (br_table $0 $1 $2 $3 $4 $5 $6 $7 $8 (local.get $way)))
      (call $set (i32.const 0) (i32.const 0) (i32.const 3) (i32.const 16) (i32.const 13)) (return (i64.const 1)))
      (call $add (i32.const 1) (i32.const 0) (i32.const 3) (i32.const 16) (i32.const 13)) (return (i64.const 0)))
      (call $set (i32.const 0) (i32.const 48) (i32.const 15) (i32.const 0) (i32.const 1)) (return (i64.const 1)))
      (call $set_uri (i32.const 80) (i32.const 26)) (return (i64.const 1)))
      (call $set_method (i32.const 112) (i32.const 31)) (return (i64.const 1)))
      (call $set (i32.const 0) (i32.const 0) (i32.const 3) (i32.const 160) (i32.const 12)) (return (i64.const 1)))
      (call $add (i32.const 0) (i32.const 0) (i32.const 3) (i32.const 192) (i32.const 12)) (return (i64.const 1)))
      (call $set (i32.const 0) (i32.const 224) (i32.const 4) (i32.const 240) (i32.const 13)) (return (i64.const 1)))
    ;; the fields by which bodies are framed
    (call $set (i32.const 0) (i32.const 272) (i32.const 17) (i32.const 304) (i32.const 7))
    (call $set (i32.const 0) (i32.const 320) (i32.const 14) (i32.const 336) (i32.const 1))
    (i64.const 1))
  (func (export "handle_response") (param i32 i32)))
