;; Reads a field of each request, and adds one.
(module
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_replace_header_map_value" (func $replace (param i32 i32 i32 i32 i32) (result i32)))

  (memory (export "memory") 1)
  ;; 4: pointer and size from the host, 16: names, 1024: what the host gives
  (data (i32.const 16) "x-api-keyx-seen")

  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (if (call $get (i32.const 0) (i32.const 16) (i32.const 9) (i32.const 4) (i32.const 8))
      (then unreachable))
    (if (call $replace (i32.const 0) (i32.const 25) (i32.const 6) (i32.load (i32.const 4)) (i32.load (i32.const 8)))
      (then unreachable))
    (i32.const 0))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_done") (param i32) (result i32) (i32.const 1))
  (func (export "proxy_on_log") (param i32))
  (func (export "proxy_on_delete") (param i32)))
