;; Marked as 0.1.0, and called with three arguments at the headers, as all guests of
;; that mark in the field are. Its allocator is proxy_on_memory_allocate alone.
(module
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))

  (memory (export "memory") 1)
  ;; 4: pointer and size from the host, 12: a digit, 16: names
  (data (i32.const 16) "x-endx-inx-out")

  (func (export "proxy_abi_version_0_1_0"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 4096))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_request_headers") (param $id i32) (param i32) (param $end i32) (result i32)
    (i32.store8 (i32.const 12) (i32.add (i32.const 48) (local.get $end)))
    (drop (call $add (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 12) (i32.const 1)))
    (drop (call $get (i32.const 0) (i32.const 21) (i32.const 4) (i32.const 4) (i32.const 8)))
    (drop (call $add (i32.const 0) (i32.const 25) (i32.const 5) (i32.load (i32.const 4)) (i32.load (i32.const 8))))
    (i32.const 0)))
