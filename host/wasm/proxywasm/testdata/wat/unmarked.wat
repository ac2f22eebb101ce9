;; Bears no mark of a version, imports WASI by its old name, and functions that no
;; version has: these must link, and answer that they are not implemented (12).
(module
  (import "wasi_unstable" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_unstable" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_unstable" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "env" "proxy_redis_init" (func $redis_init (param i32 i32 i32) (result i32)))
  (import "env" "emscripten_notify_memory_growth" (func $grown (param i32)))
  (import "env" "pthread_equal" (func $same (param i32 i32) (result i32)))
  (import "env" "proxy_far_future" (func $future (param i64 f64) (result i64)))
  (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))

  (memory (export "memory") 1)
  ;; 0: an iovec, 16: two digits, 32: time, 64: names
  (data (i32.const 64) "x-unknownx-wasi")
  (data (i32.const 128) "by wasi_unstable\0a")

  ;; writes a number below 100 to 16
  (func $digits (param i32)
    (i32.store8 (i32.const 16) (i32.add (i32.const 48) (i32.div_u (local.get 0) (i32.const 10))))
    (i32.store8 (i32.const 17) (i32.add (i32.const 48) (i32.rem_u (local.get 0) (i32.const 10)))))

  (func (export "malloc") (param i32) (result i32) (i32.const 4096))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (call $digits (call $redis_init (i32.const 0) (i32.const 0) (i32.const 0)))
    (drop (call $add (i32.const 0) (i32.const 64) (i32.const 9) (i32.const 16) (i32.const 2)))
    (call $grown (i32.const 0))
    (drop (call $same (i32.const 1) (i32.const 1)))
    (drop (call $future (i64.const 1) (f64.const 1)))

    (i32.store (i32.const 0) (i32.const 128))
    (i32.store (i32.const 4) (i32.const 17))
    (call $digits (i32.add
      (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))
      (i32.add
        (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 32))
        (call $random_get (i32.const 40) (i32.const 8)))))
    (drop (call $add (i32.const 0) (i32.const 73) (i32.const 6) (i32.const 16) (i32.const 2)))
    (i32.const 0)))
