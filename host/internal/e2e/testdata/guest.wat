;; A guest that looks at everything: it reads both bodies to their end, and
;; leaves its mark in the header and the trailer of request and response. The
;; request field x-guest-do asks it for something else, by its first letter:
;;
;;   answer   answer instead of the origin: 403
;;   keep     keep off the request's body
;;   trap     trap while it handles the request
;;   late     trap while it handles the response
;;   spin     never end
(module
  (import "http_handler" "enable_features" (func $enable_features (param i32) (result i32)))
  (import "http_handler" "get_header_values" (func $get_header_values (param i32 i32 i32 i32 i32) (result i64)))
  (import "http_handler" "set_header_value" (func $set_header_value (param i32 i32 i32 i32 i32)))
  (import "http_handler" "read_body" (func $read_body (param i32 i32 i32) (result i64)))
  (import "http_handler" "write_body" (func $write_body (param i32 i32 i32)))
  (import "http_handler" "set_status_code" (func $set_status_code (param i32)))

  (memory (export "memory") 2)
  (data (i32.const 0) "x-guest-do")
  (data (i32.const 16) "x-guest")
  (data (i32.const 32) "x-guest-end")
  (data (i32.const 48) "was here")
  (data (i32.const 64) "the guest says no")

  (func (export "_initialize")
    (drop (call $enable_features (i32.const 7)))) ;; both bodies, and trailers

  (func (export "handle_request") (result i64)
    (local $asked i32)
    (local.set $asked (call $asked))
    (if (i32.eq (local.get $asked) (i32.const 0x74)) (then (unreachable))) ;; t
    (if (i32.eq (local.get $asked) (i32.const 0x73)) (then (loop $again (br $again)))) ;; s
    (if (i32.eq (local.get $asked) (i32.const 0x61)) ;; a
      (then
        (call $set_status_code (i32.const 403))
        (call $write_body (i32.const 1) (i32.const 64) (i32.const 17))
        (return (i64.const 0))))
    (if (i32.ne (local.get $asked) (i32.const 0x6b)) ;; k
      (then (call $read (i32.const 0))))
    (call $mark (i32.const 0))
    (i64.const 1))

  (func (export "handle_response") (param $ctx i32) (param $is_error i32)
    (if (i32.eq (call $asked) (i32.const 0x6c)) (then (unreachable))) ;; l
    (call $read (i32.const 1))
    (call $mark (i32.const 1)))

  (func $asked (result i32) ;; the first letter of x-guest-do
    (i32.store8 (i32.const 1024) (i32.const 0))
    (drop (call $get_header_values (i32.const 0) (i32.const 0) (i32.const 10) (i32.const 1024) (i32.const 64)))
    (i32.load8_u (i32.const 1024)))

  (func $read (param $kind i32) ;; a body to its end
    (loop $more
      (br_if $more (i64.eqz (i64.shr_u
        (call $read_body (local.get $kind) (i32.const 4096) (i32.const 65536))
        (i64.const 32))))))

  (func $mark (param $kind i32) ;; 0 request, 1 response; their trailers are 2 and 3
    (call $set_header_value (local.get $kind)
      (i32.const 16) (i32.const 7) (i32.const 48) (i32.const 8))
    (call $set_header_value (i32.add (local.get $kind) (i32.const 2))
      (i32.const 32) (i32.const 11) (i32.const 48) (i32.const 8)))
)
