"""Writes puppet.wat: a guest whose callbacks are all answered by the test (puppet.call), and that has a
function for each import, so that the test can call the host as a guest does. Two answers are orders: -1 to
trap, -2 to go on for ever.

    python3 generate.py > puppet.wat && npx --yes --package=wabt@1.0.39 wat2wasm puppet.wat -o puppet.wasm
"""

CALLBACKS = """proxy_on_vm_start/2r proxy_on_configure/2r proxy_on_context_create/2 proxy_on_done/1r proxy_on_log/1
proxy_on_delete/1 proxy_on_tick/1 proxy_on_queue_ready/2 proxy_on_request_headers/3r proxy_on_request_body/3r
proxy_on_request_trailers/2r proxy_on_response_headers/3r proxy_on_response_body/3r proxy_on_response_trailers/2r
proxy_on_http_call_response/5 proxy_on_grpc_receive_initial_metadata/3 proxy_on_grpc_receive/3
proxy_on_grpc_receive_trailing_metadata/3 proxy_on_grpc_close/3 proxy_on_foreign_function/3""".split()

IMPORTS = """proxy_log/iii proxy_get_log_level/i proxy_get_current_time_nanoseconds/i
proxy_set_tick_period_milliseconds/i proxy_get_buffer_bytes/iiiii proxy_set_buffer_bytes/iiiii
proxy_get_buffer_status/iii proxy_get_header_map_size/ii proxy_get_header_map_pairs/iii
proxy_set_header_map_pairs/iii proxy_get_header_map_value/iiiii proxy_add_header_map_value/iiiii
proxy_replace_header_map_value/iiiii proxy_remove_header_map_value/iii proxy_get_property/iiii
proxy_set_property/iiii proxy_send_local_response/iiiiiiii proxy_continue_stream/i proxy_close_stream/i
proxy_http_call/iiiiiiiiii proxy_grpc_call/iiiiiiiiiiii proxy_grpc_stream/iiiiiiiii proxy_grpc_send/iiii
proxy_grpc_cancel/i proxy_grpc_close/i proxy_get_status/iii proxy_get_shared_data/iiiii
proxy_set_shared_data/iiiii proxy_register_shared_queue/iii proxy_resolve_shared_queue/iiiii
proxy_enqueue_shared_queue/iii proxy_dequeue_shared_queue/iii proxy_define_metric/iiii
proxy_increment_metric/il proxy_record_metric/il proxy_get_metric/ii proxy_set_effective_context/i
proxy_done/ proxy_call_foreign_function/iiiiii proxy_get_configuration/ii proxy_continue_request/
proxy_continue_response/ proxy_clear_route_cache/ proxy_unheard_of/ii""".split()

TYPES = {"i": "i32", "l": "i64"}

print(";; Written by generate.py.\n(module")
print('  (import "puppet" "call" (func $call (param i32 i32 i32 i32 i32 i32) (result i32)))')
for entry in IMPORTS:
    name, _, params = entry.partition("/")
    types = "".join(f" {TYPES[p]}" for p in params)
    param = f" (param{types})" if types else ""
    print(f'  (import "env" "{name}" (func ${name}{param} (result i32)))')
print("""  (memory (export "memory") 4)
  (global $free (mut i32) (i32.const 131072)) ;; what is below is the test's
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param $n i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $free))
    (global.set $free (i32.and (i32.add (i32.add (local.get $at) (local.get $n)) (i32.const 15)) (i32.const -8)))
    (block $fits
      (br_if $fits (i32.le_u (global.get $free) (i32.mul (memory.size) (i32.const 65536))))
      (drop (memory.grow (i32.add (i32.div_u (local.get $n) (i32.const 65536)) (i32.const 1)))))
    (local.get $at))""")
for index, entry in enumerate(CALLBACKS):
    name, _, kind = entry.partition("/")
    count, result = int(kind[0]), kind.endswith("r")
    args = "".join(f" (local.get {i})" for i in range(count)) + " (i32.const 0)" * (5 - count)
    body = f"(call $call (i32.const {index}){args})"
    print(f'  (func (export "{name}") (param{" i32" * count}){" (result i32)" if result else ""} {"" if result else "(drop "}(call $obey {body}){"" if result else ")"})')
for entry in IMPORTS:
    name, _, params = entry.partition("/")
    types = "".join(f" {TYPES[p]}" for p in params)
    param = f" (param{types})" if types else ""
    args = "".join(f" (local.get {i})" for i in range(len(params)))
    print(f'  (func (export "host_{name}"){param} (result i32) (call ${name}{args}))')
print("""  (func $obey (param $answer i32) (result i32)
    (if (i32.eq (local.get $answer) (i32.const -1)) (then (unreachable)))
    (if (i32.eq (local.get $answer) (i32.const -2)) (then (loop $again (br $again))))
    (local.get $answer)))""")
