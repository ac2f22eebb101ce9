;; old.wat, with the three functions that return nothing, as the specification has
;; it.
(module
  (import "env" "proxy_get_configuration" (func $get_configuration (param i32 i32) (result i32)))
  (import "env" "proxy_continue_request" (func $continue_request))
  (import "env" "proxy_continue_response" (func $continue_response))
  (import "env" "proxy_clear_route_cache" (func $clear_route_cache))
  (import "env" "proxy_set_tick_period_milliseconds" (func $set_tick (param i32) (result i32)))
  (import "env" "proxy_set_effective_context" (func $set_effective (param i32) (result i32)))
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))

  (memory (export "memory") 1)
  (global $heap (mut i32) (i32.const 4096))
  (global $waiting (mut i32) (i32.const 0))
  ;; 8: a digit, 16: names, 40: pointer and size from the host, 64: configuration
  (data (i32.const 16) "x-config")
  (data (i32.const 24) "x-missing")

  (func (export "proxy_abi_version_0_1_0"))
  (func (export "_start"))
  (func (export "malloc") (param i32) (result i32)
    (global.get $heap)
    (global.set $heap (i32.add (global.get $heap) (local.get 0))))

  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (drop (call $set_tick (i32.const 1)))
    (i32.eqz (call $get_configuration (i32.const 64) (i32.const 68))))

  (func (export "proxy_on_request_headers") (param $id i32) (param i32) (result i32)
    (drop (call $add (i32.const 0) (i32.const 16) (i32.const 8) (i32.load (i32.const 64)) (i32.load (i32.const 68))))
    ;; what asking for a field that is not there answers, as a digit
    (i32.store8 (i32.const 8) (i32.add (i32.const 48)
      (call $get (i32.const 0) (i32.const 24) (i32.const 9) (i32.const 40) (i32.const 44))))
    (drop (call $add (i32.const 0) (i32.const 24) (i32.const 9) (i32.const 8) (i32.const 1)))
    (call $clear_route_cache)
    (global.set $waiting (local.get $id))
    (i32.const 1))
  (func (export "proxy_on_response_headers") (param $id i32) (param i32) (result i32)
    (global.set $waiting (i32.sub (i32.const 0) (local.get $id)))
    (i32.const 1))

  ;; goes on with what waits: a request, or, as a negative number, a response
  (func (export "proxy_on_tick") (param i32)
    (if (i32.gt_s (global.get $waiting) (i32.const 0)) (then
      (drop (call $set_effective (global.get $waiting)))
      (call $continue_request)))
    (if (i32.lt_s (global.get $waiting) (i32.const 0)) (then
      (drop (call $set_effective (i32.sub (i32.const 0) (global.get $waiting))))
      (call $continue_response)))
    (global.set $waiting (i32.const 0))))
