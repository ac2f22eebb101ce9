;; A guest that does what its configuration says, so that a test can call any
;; host function with any arguments and look at the results.
;;
;; The configuration is copied to 4096 and begins with three numbers: how many
;; records belong to the start, to handle_request and to handle_response. The
;; records follow in that order, 32 bytes each: an operation, five arguments, and
;; room for an i64 result. What the arguments point to comes after the records;
;; memory from 65536 on is free for results.
;;
;; Operations 0 to 18 are the host functions in the order of the imports; those
;; after them are the functions at the end. handle_response leaves its two
;; arguments at 4080 and 4084.
(module
  (import "http_handler" "enable_features" (func $enable_features (param i32) (result i32)))
  (import "http_handler" "get_config" (func $get_config (param i32 i32) (result i32)))
  (import "http_handler" "log" (func $log (param i32 i32 i32)))
  (import "http_handler" "log_enabled" (func $log_enabled (param i32) (result i32)))
  (import "http_handler" "get_method" (func $get_method (param i32 i32) (result i32)))
  (import "http_handler" "set_method" (func $set_method (param i32 i32)))
  (import "http_handler" "get_uri" (func $get_uri (param i32 i32) (result i32)))
  (import "http_handler" "set_uri" (func $set_uri (param i32 i32)))
  (import "http_handler" "get_protocol_version" (func $get_protocol_version (param i32 i32) (result i32)))
  (import "http_handler" "get_source_addr" (func $get_source_addr (param i32 i32) (result i32)))
  (import "http_handler" "get_header_names" (func $get_header_names (param i32 i32 i32) (result i64)))
  (import "http_handler" "get_header_values" (func $get_header_values (param i32 i32 i32 i32 i32) (result i64)))
  (import "http_handler" "set_header_value" (func $set_header_value (param i32 i32 i32 i32 i32)))
  (import "http_handler" "add_header_value" (func $add_header_value (param i32 i32 i32 i32 i32)))
  (import "http_handler" "remove_header" (func $remove_header (param i32 i32 i32)))
  (import "http_handler" "read_body" (func $read_body (param i32 i32 i32) (result i64)))
  (import "http_handler" "write_body" (func $write_body (param i32 i32 i32)))
  (import "http_handler" "get_status_code" (func $get_status_code (result i32)))
  (import "http_handler" "set_status_code" (func $set_status_code (param i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))

  (memory (export "memory") 2)
  (global $result (mut i64) (i64.const 1)) ;; of handle_request: go on
  (type $operation (func (param i32)))

  (table funcref (elem
    $enable_features_at $get_config_at $log_at $log_enabled_at $get_method_at $set_method_at $get_uri_at
    $set_uri_at $get_protocol_version_at $get_source_addr_at $get_header_names_at $get_header_values_at $set_header_value_at
    $add_header_value_at $remove_header_at $read_body_at $write_body_at $get_status_code_at $set_status_code_at
    $trap $spin $grow $recurse $exit $result $read_all $echo $print $random))

  (func (export "_initialize")
    (drop (call $get_config (i32.const 4096) (i32.const 57344)))
    (call $run (i32.const 4112) (i32.load (i32.const 4096))))

  (func (export "handle_request") (result i64)
    (call $run
      (i32.add (i32.const 4112) (i32.shl (i32.load (i32.const 4096)) (i32.const 5)))
      (i32.load (i32.const 4100)))
    (global.get $result))

  (func (export "handle_response") (param $ctx i32) (param $is_error i32)
    (i32.store (i32.const 4080) (local.get $ctx))
    (i32.store (i32.const 4084) (local.get $is_error))
    (call $run
      (i32.add (i32.const 4112)
        (i32.shl (i32.add (i32.load (i32.const 4096)) (i32.load (i32.const 4100))) (i32.const 5)))
      (i32.load (i32.const 4104))))

  (func $run (param $record i32) (param $count i32)
    (block $end
      (loop $next
        (br_if $end (i32.eqz (local.get $count)))
        (call_indirect (type $operation) (local.get $record) (i32.load (local.get $record)))
        (local.set $record (i32.add (local.get $record) (i32.const 32)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next))))

  (func $enable_features_at (param $r i32)
    (i64.store offset=24 (local.get $r) (i64.extend_i32_u (call $enable_features (i32.load offset=4 (local.get $r))))))
  (func $get_config_at (param $r i32)
    (i64.store offset=24 (local.get $r) (i64.extend_i32_u (call $get_config (i32.load offset=4 (local.get $r)) (i32.load offset=8 (local.get $r))))))
  (func $log_at (param $r i32)
    (call $log (i32.load offset=4 (local.get $r)) (i32.load offset=8 (local.get $r)) (i32.load offset=12 (local.get $r))))
  (func $log_enabled_at (param $r i32)
    (i64.store offset=24 (local.get $r) (i64.extend_i32_u (call $log_enabled (i32.load offset=4 (local.get $r))))))
  (func $get_method_at (param $r i32)
    (i64.store offset=24 (local.get $r) (i64.extend_i32_u (call $get_method (i32.load offset=4 (local.get $r)) (i32.load offset=8 (local.get $r))))))
  (func $set_method_at (param $r i32)
    (call $set_method (i32.load offset=4 (local.get $r)) (i32.load offset=8 (local.get $r))))
  (func $get_uri_at (param $r i32)
    (i64.store offset=24 (local.get $r) (i64.extend_i32_u (call $get_uri (i32.load offset=4 (local.get $r)) (i32.load offset=8 (local.get $r))))))
  (func $set_uri_at (param $r i32)
    (call $set_uri (i32.load offset=4 (local.get $r)) (i32.load offset=8 (local.get $r))))
  (func $get_protocol_version_at (param $r i32)
    (i64.store offset=24 (local.get $r) (i64.extend_i32_u (call $get_protocol_version (i32.load offset=4 (local.get $r)) (i32.load offset=8 (local.get $r))))))
  (func $get_source_addr_at (param $r i32)
    (i64.store offset=24 (local.get $r) (i64.extend_i32_u (call $get_source_addr (i32.load offset=4 (local.get $r)) (i32.load offset=8 (local.get $r))))))
  (func $get_header_names_at (param $r i32)
    (i64.store offset=24 (local.get $r) (call $get_header_names (i32.load offset=4 (local.get $r)) (i32.load offset=8 (local.get $r)) (i32.load offset=12 (local.get $r)))))
  (func $get_header_values_at (param $r i32)
    (i64.store offset=24 (local.get $r) (call $get_header_values (i32.load offset=4 (local.get $r)) (i32.load offset=8 (local.get $r)) (i32.load offset=12 (local.get $r)) (i32.load offset=16 (local.get $r)) (i32.load offset=20 (local.get $r)))))
  (func $set_header_value_at (param $r i32)
    (call $set_header_value (i32.load offset=4 (local.get $r)) (i32.load offset=8 (local.get $r)) (i32.load offset=12 (local.get $r)) (i32.load offset=16 (local.get $r)) (i32.load offset=20 (local.get $r))))
  (func $add_header_value_at (param $r i32)
    (call $add_header_value (i32.load offset=4 (local.get $r)) (i32.load offset=8 (local.get $r)) (i32.load offset=12 (local.get $r)) (i32.load offset=16 (local.get $r)) (i32.load offset=20 (local.get $r))))
  (func $remove_header_at (param $r i32)
    (call $remove_header (i32.load offset=4 (local.get $r)) (i32.load offset=8 (local.get $r)) (i32.load offset=12 (local.get $r))))
  (func $read_body_at (param $r i32)
    (i64.store offset=24 (local.get $r) (call $read_body (i32.load offset=4 (local.get $r)) (i32.load offset=8 (local.get $r)) (i32.load offset=12 (local.get $r)))))
  (func $write_body_at (param $r i32)
    (call $write_body (i32.load offset=4 (local.get $r)) (i32.load offset=8 (local.get $r)) (i32.load offset=12 (local.get $r))))
  (func $get_status_code_at (param $r i32)
    (i64.store offset=24 (local.get $r) (i64.extend_i32_u (call $get_status_code))))
  (func $set_status_code_at (param $r i32)
    (call $set_status_code (i32.load offset=4 (local.get $r))))

  (func $trap (param $r i32) (unreachable))

  (func $spin (param $r i32) (loop $again (br $again)))

  (func $grow (param $r i32) ;; by pages; the result is -1 if that was refused
    (i64.store offset=24 (local.get $r) (i64.extend_i32_s (memory.grow (i32.load offset=4 (local.get $r))))))

  (func $recurse (param $r i32) (call $recurse (local.get $r)))

  (func $exit (param $r i32) (call $proc_exit (i32.load offset=4 (local.get $r))))

  (func $result (param $r i32) ;; of handle_request: next, ctx
    (global.set $result (i64.or
      (i64.extend_i32_u (i32.load offset=4 (local.get $r)))
      (i64.shl (i64.extend_i32_u (i32.load offset=8 (local.get $r))) (i64.const 32)))))

  (func $read_all (param $r i32) ;; kind, buffer, room for one read; the result is the length of all
    (local $read i64)
    (loop $more
      (local.set $read (call $read_body
        (i32.load offset=4 (local.get $r)) (i32.load offset=8 (local.get $r)) (i32.load offset=12 (local.get $r))))
      (i32.store offset=8 (local.get $r)
        (i32.add (i32.load offset=8 (local.get $r)) (i32.wrap_i64 (local.get $read))))
      (i64.store offset=24 (local.get $r)
        (i64.add (i64.load offset=24 (local.get $r)) (i64.and (local.get $read) (i64.const 0xffffffff))))
      (br_if $more (i64.eqz (i64.shr_u (local.get $read) (i64.const 32))))))

  (func $echo (param $r i32) ;; kind, buffer, room, kind to write to: piece by piece
    (local $read i64)
    (loop $more
      (local.set $read (call $read_body
        (i32.load offset=4 (local.get $r)) (i32.load offset=8 (local.get $r)) (i32.load offset=12 (local.get $r))))
      (call $write_body
        (i32.load offset=16 (local.get $r)) (i32.load offset=8 (local.get $r)) (i32.wrap_i64 (local.get $read)))
      (br_if $more (i64.eqz (i64.shr_u (local.get $read) (i64.const 32))))))

  (func $print (param $r i32) ;; file, pointer, length
    (i32.store (i32.const 4064) (i32.load offset=8 (local.get $r)))
    (i32.store (i32.const 4068) (i32.load offset=12 (local.get $r)))
    (i64.store offset=24 (local.get $r) (i64.extend_i32_u (call $fd_write
      (i32.load offset=4 (local.get $r)) (i32.const 4064) (i32.const 1) (i32.const 4072)))))

  (func $random (param $r i32) ;; pointer, length
    (i64.store offset=24 (local.get $r) (i64.extend_i32_u (call $random_get
      (i32.load offset=4 (local.get $r)) (i32.load offset=8 (local.get $r))))))
)
