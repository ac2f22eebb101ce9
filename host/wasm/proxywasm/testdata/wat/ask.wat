;; Asks for properties: the paths that fields of the request name, names joined by
;; dots and paths by spaces, "x-ask-request" at the request's head, "x-ask-response" at
;; the response's, "x-ask-log" at the end. What they are, in hexadecimal, or ? for what
;; is not found, it tells in the field "x-told" of the message, and at the end in the log.
(module
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_property" (func $property (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))

  (memory (export "memory") 4)
  ;; 4: pointer and size of the paths, 12: of a value, 24: names, 80: digits, 4096: what
  ;; is told, 32768: what the host gives
  (data (i32.const 24) "x-ask-requestx-ask-responsex-ask-logx-told")
  (data (i32.const 80) "0123456789abcdef")
  (global $free (mut i32) (i32.const 32768))
  (global $told (mut i32) (i32.const 4096))

  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param $n i32) (result i32)
    (global.set $free (i32.add (global.get $free) (local.get $n)))
    (i32.sub (global.get $free) (local.get $n)))

  (func $put (param $byte i32)
    (i32.store8 (global.get $told) (local.get $byte))
    (global.set $told (i32.add (global.get $told) (i32.const 1))))

  (func $putHex (param $at i32) (param $end i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (call $put (i32.load8_u offset=80 (i32.shr_u (i32.load8_u (local.get $at)) (i32.const 4))))
        (call $put (i32.load8_u offset=80 (i32.and (i32.load8_u (local.get $at)) (i32.const 15))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next))))

  ;; $answer asks for all paths of a field; false if there is none.
  (func $answer (param $name i32) (param $length i32) (result i32)
    (local $start i32) (local $at i32) (local $end i32)
    (global.set $free (i32.const 32768))
    (global.set $told (i32.const 4096))
    (if (call $get (i32.const 0) (local.get $name) (local.get $length) (i32.const 4) (i32.const 8))
      (then (return (i32.const 0))))
    (local.set $at (i32.load (i32.const 4)))
    (local.set $end (i32.add (local.get $at) (i32.load (i32.const 8))))
    (loop $path
      (local.set $start (local.get $at))
      (block $whole
        (loop $byte
          (br_if $whole (i32.ge_u (local.get $at) (local.get $end)))
          (br_if $whole (i32.eq (i32.load8_u (local.get $at)) (i32.const 32)))
          (if (i32.eq (i32.load8_u (local.get $at)) (i32.const 46))
            (then (i32.store8 (local.get $at) (i32.const 0))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $byte)))
      (if (call $property (local.get $start) (i32.sub (local.get $at) (local.get $start)) (i32.const 12) (i32.const 16))
        (then (call $put (i32.const 63)))
        (else (call $putHex (i32.load (i32.const 12)) (i32.add (i32.load (i32.const 12)) (i32.load (i32.const 16))))))
      (call $put (i32.const 44))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $path (i32.lt_u (local.get $at) (local.get $end))))
    (i32.const 1))

  (func $tell (param $map i32)
    (drop (call $add (local.get $map) (i32.const 60) (i32.const 6)
      (i32.const 4096) (i32.sub (global.get $told) (i32.const 4096)))))

  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (if (call $answer (i32.const 24) (i32.const 13)) (then (call $tell (i32.const 0))))
    (i32.const 0))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (if (call $answer (i32.const 37) (i32.const 14)) (then (call $tell (i32.const 2))))
    (i32.const 0))
  (func (export "proxy_on_log") (param i32)
    (if (call $answer (i32.const 51) (i32.const 9))
      (then (drop (call $log (i32.const 2) (i32.const 4096) (i32.sub (global.get $told) (i32.const 4096))))))))
