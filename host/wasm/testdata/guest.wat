;; A guest that misbehaves on request. How it starts, the host decides: 0 well,
;; 1 never, 2 trap, 3 exit, 4 ask for more memory than it may have and trap.
(module
  (import "test" "start" (func $how (result i32)))
  (import "test" "block" (func $block))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $fd_prestat_get (param i32 i32) (result i32)))

  (memory (export "memory") 1)
  (global $calls (mut i32) (i32.const 0))
  (data (i32.const 1024) "first line\0asecond ")
  (data (i32.const 1043) "half\0a")

  (func (export "_initialize") (local $how i32)
    (local.set $how (call $how))
    (if (i32.eq (local.get $how) (i32.const 1)) (then (call $spin)))
    (if (i32.eq (local.get $how) (i32.const 2)) (then (unreachable)))
    (if (i32.eq (local.get $how) (i32.const 3)) (then (call $proc_exit (i32.const 0))))
    (if (i32.eq (local.get $how) (i32.const 4)) (then (call $bomb))))

  (func (export "nothing"))
  (func (export "calls") (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (global.get $calls))
  (func (export "trap") (unreachable))
  (func $spin (export "spin") (loop $again (br $again)))
  (func (export "storm") (loop $again (call $block) (br $again)))
  ;; calls itself twice, to no end, but not deep
  (func $twice (param $left i32)
    (if (i32.eqz (local.get $left)) (then (return)))
    (call $twice (i32.sub (local.get $left) (i32.const 1)))
    (call $twice (i32.sub (local.get $left) (i32.const 1))))
  (func (export "tree") (call $twice (i32.const 60)))
  (func $recurse (export "recurse") (call $recurse))
  (func $even (call $odd))
  (func $odd (call $even))
  (func (export "mutual") (call $even))
  (func $through (export "through") (call_indirect (i32.const 0)))
  (table 1 funcref)
  (elem (i32.const 0) $through)
  ;; calls itself to a depth and comes back
  (func $deep (export "deep") (param $left i32) (result i32)
    (if (result i32) (i32.eqz (local.get $left))
      (then (i32.const 0))
      (else (i32.add (call $deep (i32.sub (local.get $left) (i32.const 1))) (i32.const 1)))))
  (func (export "storm_of") (param $left i32) (result i32)
    (loop $again
      (call $block)
      (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (i32.const 0))
  ;; what the host calls within block
  (func (export "inner") (call $block))
  (func (export "exit") (call $proc_exit (i32.const 7)))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))

  ;; what allocators do when memory is refused
  (func $bomb (export "bomb")
    (loop $more
      (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
    (unreachable))

  ;; waits for the host
  (func (export "block") (call $block))
  ;; waits for the host, then never ends
  (func (export "block_spin") (call $block) (call $spin))

  (func $write (param $file i32) (param $from i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $from))
    (i32.store (i32.const 4) (local.get $length))
    (drop (call $fd_write (local.get $file) (i32.const 0) (i32.const 1) (i32.const 8))))

  ;; a line and a half, then the other half
  (func (export "print")
    (call $write (i32.const 1) (i32.const 1024) (i32.const 18))
    (call $write (i32.const 2) (i32.const 1024) (i32.const 11))
    (call $write (i32.const 1) (i32.const 1043) (i32.const 5)))
  ;; as many lines as asked for
  (func (export "flood") (param $lines i32)
    (loop $more
      (call $write (i32.const 1) (i32.const 1024) (i32.const 11))
      (br_if $more (local.tee $lines (i32.sub (local.get $lines) (i32.const 1))))))

  (func (export "random") (result i64)
    (drop (call $random_get (i32.const 16) (i32.const 8)))
    (i64.load (i32.const 16)))

  ;; 0: real time, 1: monotonic
  (func (export "clock") (param i32) (result i64)
    (drop (call $clock_time_get (local.get 0) (i64.const 1) (i32.const 16)))
    (i64.load (i32.const 16)))

  ;; sleeps so many nanoseconds on the monotonic clock
  (func (export "sleep") (param i64) (result i32)
    (i32.store8 (i32.const 40) (i32.const 0)) ;; a clock
    (i32.store (i32.const 48) (i32.const 1))  ;; the monotonic one
    (i64.store (i32.const 56) (local.get 0))
    (i64.store (i32.const 64) (i64.const 0))
    (i32.store16 (i32.const 72) (i32.const 0)) ;; from now on
    (call $poll_oneoff (i32.const 32) (i32.const 128) (i32.const 1) (i32.const 24)))

  ;; how many environment variables, arguments and opened folders there are
  (func (export "surroundings") (result i32)
    (drop (call $environ_sizes_get (i32.const 0) (i32.const 4)))
    (drop (call $args_sizes_get (i32.const 8) (i32.const 12)))
    (i32.add
      (i32.eqz (call $fd_prestat_get (i32.const 3) (i32.const 16)))
      (i32.add (i32.load (i32.const 0)) (i32.load (i32.const 8)))))
)
