;; a guest of proxy-wasm that marks responses with x-proxy: 1
(module
  (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "x-proxy")
  (data (i32.const 80) "1")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) (i32.const 32768))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (if (call $add (i32.const 2) (i32.const 64) (i32.const 7) (i32.const 80) (i32.const 1)) (then (unreachable)))
    (i32.const 0)))
