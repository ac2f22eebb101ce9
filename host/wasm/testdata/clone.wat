;; A guest that has state of every kind before it starts: data, a global, a start
;; function; and that draws anew what it got by chance.
(module
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_renumber" (func $fd_renumber (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_set_flags" (func $fd_fdstat_set_flags (param i32 i32) (result i32)))

  (memory (export "memory") 2)
  (table 2 funcref)
  (elem (i32.const 0) $one $two)
  (type $number (func (result i32)))
  (data (i32.const 65536) "\07")
  (global $whole (mut i64) (i64.const 1))
  (global $broken (mut f64) (f64.const 0.5))
  (global $chosen (mut i32) (i32.const 0))

  (func $one (result i32) (i32.const 1))
  (func $two (result i32) (i32.const 2))

  (func $start
    (i32.store8 (i32.const 65537) (i32.load8_u (i32.const 65536))))
  (start $start)

  (func (export "_initialize")
    (global.set $whole (i64.const 10))
    (global.set $broken (f64.const 0.25))
    (global.set $chosen (i32.const 1))
    (drop (call $random_get (i32.const 32) (i32.const 8))))

  ;; what the start left: 7 + 10 + 4 * 0.25 + 2 = 20
  (func (export "state") (result i32)
    (i32.add
      (i32.add
        (i32.load8_u (i32.const 65537))
        (i32.wrap_i64 (global.get $whole)))
      (i32.add
        (i32.trunc_f64_s (f64.mul (global.get $broken) (f64.const 4)))
        (call_indirect (type $number) (global.get $chosen)))))
  (func (export "touch")
    (global.set $whole (i64.const 1000))
    (global.set $chosen (i32.const 0))
    (i32.store8 (i32.const 65537) (i32.const 100)))

  ;; would change its streams for whoever comes next; counts what is refused
  (func (export "hush") (result i32)
    (i32.add
      (i32.ne (call $fd_close (i32.const 1)) (i32.const 0))
      (i32.add
        (i32.ne (call $fd_renumber (i32.const 1) (i32.const 2)) (i32.const 0))
        (i32.ne (call $fd_fdstat_set_flags (i32.const 1) (i32.const 1)) (i32.const 0)))))

  (func (export "drawn") (result i64) (i64.load (i32.const 32)))
  (func (export "ergo_reseed")
    (drop (call $random_get (i32.const 32) (i32.const 8))))
)
