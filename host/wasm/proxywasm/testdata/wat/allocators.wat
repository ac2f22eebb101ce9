;; Has both allocators. The host takes proxy_on_memory_allocate, so malloc may trap.
(module
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))

  (memory (export "memory") 1)
  ;; 4: pointer and size from the host, 12: a status in two digits, 16: names
  (data (i32.const 16) "x-inx-outx-status")

  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 4096))
  (func (export "malloc") (param i32) (result i32) (unreachable))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (local $status i32)
    (local.set $status (call $get (i32.const 0) (i32.const 16) (i32.const 4) (i32.const 4) (i32.const 8)))
    (i32.store8 (i32.const 12) (i32.add (i32.const 48) (i32.div_u (local.get $status) (i32.const 10))))
    (i32.store8 (i32.const 13) (i32.add (i32.const 48) (i32.rem_u (local.get $status) (i32.const 10))))
    (drop (call $add (i32.const 0) (i32.const 25) (i32.const 8) (i32.const 12) (i32.const 2)))
    (drop (call $add (i32.const 0) (i32.const 20) (i32.const 5) (i32.load (i32.const 4)) (i32.load (i32.const 8))))
    (i32.const 0)))
