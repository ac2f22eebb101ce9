;; Has a root context only, and traps when it is given another. Each tick it counts
;; in the metric "ticks".
(module
  (import "env" "proxy_define_metric" (func $define (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_increment_metric" (func $increment (param i32 i64) (result i32)))
  (import "env" "proxy_set_tick_period_milliseconds" (func $set_tick (param i32) (result i32)))

  (memory (export "memory") 1)
  ;; 8: metric's id, 16: its name
  (data (i32.const 16) "ticks")

  (func (export "proxy_abi_version_0_2_0"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 4096))
  (func (export "proxy_on_context_create") (param $id i32) (param $parent i32)
    (if (local.get $parent) (then (unreachable))))
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (drop (call $define (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 8)))
    (i32.eqz (call $set_tick (i32.const 1))))
  (func (export "proxy_on_tick") (param i32)
    (drop (call $increment (i32.load (i32.const 8)) (i64.const 1)))))
