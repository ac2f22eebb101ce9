//! The host's functions, as the wasm module imports them.
//!
//! Names, parameters and results are those of the http-wasm ABI and of Ergo's capability modules; a
//! pointer and a `usize` are both i32 on wasm32. On other targets the same names lead to the fake host
//! in [`crate::testing`].

#[cfg(target_arch = "wasm32")]
pub use imports::*;

#[cfg(not(target_arch = "wasm32"))]
pub use crate::testing::abi::*;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::testing::{cache::*, kv::*};

/// Kinds of header list: the first parameter of the header functions.
pub const REQUEST: u32 = 0;
pub const RESPONSE: u32 = 1;
pub const REQUEST_TRAILERS: u32 = 2;
pub const RESPONSE_TRAILERS: u32 = 3;

#[cfg(target_arch = "wasm32")]
mod imports {
    #[link(wasm_import_module = "http_handler")]
    unsafe extern "C" {
        pub fn enable_features(features: u32) -> u32;
        pub fn get_config(buf: *mut u8, limit: usize) -> usize;
        #[link_name = "log"]
        pub fn write_log(level: i32, message: *const u8, length: usize);
        pub fn log_enabled(level: i32) -> u32;
        pub fn get_method(buf: *mut u8, limit: usize) -> usize;
        pub fn set_method(method: *const u8, length: usize);
        pub fn get_uri(buf: *mut u8, limit: usize) -> usize;
        pub fn set_uri(uri: *const u8, length: usize);
        pub fn get_protocol_version(buf: *mut u8, limit: usize) -> usize;
        pub fn get_source_addr(buf: *mut u8, limit: usize) -> usize;
        pub fn get_header_names(kind: u32, buf: *mut u8, limit: usize) -> u64;
        pub fn get_header_values(
            kind: u32,
            name: *const u8,
            name_length: usize,
            buf: *mut u8,
            limit: usize,
        ) -> u64;
        pub fn set_header_value(
            kind: u32,
            name: *const u8,
            name_length: usize,
            value: *const u8,
            value_length: usize,
        );
        pub fn add_header_value(
            kind: u32,
            name: *const u8,
            name_length: usize,
            value: *const u8,
            value_length: usize,
        );
        pub fn remove_header(kind: u32, name: *const u8, name_length: usize);
        pub fn read_body(kind: u32, buf: *mut u8, limit: usize) -> u64;
        pub fn write_body(kind: u32, body: *const u8, length: usize);
        pub fn get_status_code() -> u32;
        pub fn set_status_code(status: u32);
    }

    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    unsafe extern "C" {
        pub fn random_get(buf: *mut u8, length: usize) -> u32;
    }

    #[link(wasm_import_module = "ergo_random")]
    unsafe extern "C" {
        #[link_name = "get"]
        pub fn random_fill(buf: *mut u8, length: usize);
    }

    #[link(wasm_import_module = "ergo_route")]
    unsafe extern "C" {
        pub fn set_upstream(name: *const u8, length: usize) -> u32;
        pub fn add_fallback(name: *const u8, length: usize) -> u32;
        pub fn get_upstream(buf: *mut u8, limit: usize) -> usize;
        pub fn set_hash_key(key: *const u8, length: usize) -> u32;
        pub fn set_timeout(milliseconds: u32) -> u32;
        pub fn set_retries(count: u32) -> u32;
    }

    #[link(wasm_import_module = "ergo_metric")]
    unsafe extern "C" {
        #[link_name = "define"]
        pub fn define_metric(kind: u32, name: *const u8, length: usize, id: *mut u32) -> u32;
        #[link_name = "add"]
        pub fn add_metric(id: u32, delta: i64) -> u32;
        #[link_name = "record"]
        pub fn record_metric(id: u32, value: i64) -> u32;
        #[link_name = "value"]
        pub fn metric_value(id: u32, value: *mut u64) -> u32;
    }

    #[link(wasm_import_module = "ergo_secret")]
    unsafe extern "C" {
        #[link_name = "get"]
        pub fn get_secret(name: *const u8, length: usize, buf: *mut u8, limit: usize) -> usize;
    }

    #[link(wasm_import_module = "ergo_clock")]
    unsafe extern "C" {
        #[link_name = "wall"]
        pub fn clock_wall() -> u64;
        #[link_name = "monotonic"]
        pub fn clock_monotonic() -> u64;
        #[link_name = "began"]
        pub fn clock_began() -> u64;
        #[link_name = "remaining"]
        pub fn clock_remaining() -> u64;
    }

    #[link(wasm_import_module = "ergo_connection")]
    unsafe extern "C" {
        #[link_name = "scheme"]
        pub fn get_client_scheme(buf: *mut u8, limit: usize) -> usize;
    }

    #[link(wasm_import_module = "ergo_identity")]
    unsafe extern "C" {
        #[link_name = "subject"]
        pub fn get_subject(buf: *mut u8, limit: usize) -> usize;
        #[link_name = "method"]
        pub fn get_identifier(buf: *mut u8, limit: usize) -> usize;
        #[link_name = "attribute"]
        pub fn get_attribute(name: *const u8, length: usize, buf: *mut u8, limit: usize) -> usize;
        #[link_name = "attribute_names"]
        pub fn get_attribute_names(buf: *mut u8, limit: usize) -> u64;
    }

    #[link(wasm_import_module = "ergo_identify")]
    unsafe extern "C" {
        pub fn identify(subject: *const u8, length: usize) -> u32;
        pub fn set_attribute(
            name: *const u8,
            name_length: usize,
            value: *const u8,
            value_length: usize,
        ) -> u32;
        pub fn forget() -> u32;
    }

    #[link(wasm_import_module = "ergo_cache")]
    unsafe extern "C" {
        #[link_name = "scheme"]
        pub fn cache_scheme(buf: *mut u8, limit: usize) -> usize;
        #[link_name = "get_request"]
        pub fn cache_request(buf: *mut u8, limit: usize) -> u64;
        #[link_name = "get_response"]
        pub fn cache_response(buf: *mut u8, limit: usize) -> u64;
        #[link_name = "amend"]
        pub fn cache_amend(changes: *const u8, length: usize) -> u32;
        #[link_name = "lookup"]
        pub fn cache_lookup(key: *const u8, length: usize) -> i32;
        #[link_name = "get_entry"]
        pub fn cache_entry(index: u32, buf: *mut u8, limit: usize) -> usize;
        #[link_name = "get_fields"]
        pub fn cache_fields(index: u32, buf: *mut u8, limit: usize) -> u64;
        #[link_name = "serve"]
        pub fn cache_serve(index: u32, status: u32, offset: i64, length: i64) -> u32;
        #[link_name = "compose"]
        pub fn cache_compose(index: u32, status: u32, slices: *const u8, length: usize) -> u32;
        #[link_name = "store"]
        pub fn cache_store(
            key: *const u8,
            key_length: usize,
            variant: *const u8,
            variant_length: usize,
            meta: *const u8,
            meta_length: usize,
            tags: *const u8,
            tags_length: usize,
            left_out: *const u8,
            left_out_length: usize,
        ) -> u32;
        #[link_name = "update"]
        pub fn cache_update(
            index: u32,
            fields: *const u8,
            fields_length: usize,
            meta: *const u8,
            meta_length: usize,
        ) -> u32;
        #[link_name = "join"]
        pub fn cache_join(key: *const u8, length: usize, timeout_ms: u32) -> u32;
        #[link_name = "release"]
        pub fn cache_release();
        #[link_name = "refresh"]
        pub fn cache_refresh() -> u32;
        #[link_name = "is_refresh"]
        pub fn cache_is_refresh() -> u32;
        #[link_name = "purge"]
        pub fn cache_purge(kind: u32, text: *const u8, length: usize, soft: u32) -> i32;
        #[link_name = "remember"]
        pub fn cache_remember(bytes: *const u8, length: usize) -> u32;
        #[link_name = "recall"]
        pub fn cache_recall(buf: *mut u8, limit: usize) -> usize;
    }

    #[link(wasm_import_module = "ergo_http")]
    unsafe extern "C" {
        #[link_name = "send"]
        pub fn send_call(
            method: *const u8,
            method_length: usize,
            url: *const u8,
            url_length: usize,
            fields: *const u8,
            fields_length: usize,
            body: *const u8,
            body_length: usize,
            timeout: u32,
        ) -> u32;
        #[link_name = "start"]
        pub fn start_call(
            method: *const u8,
            method_length: usize,
            url: *const u8,
            url_length: usize,
            fields: *const u8,
            fields_length: usize,
            body: *const u8,
            body_length: usize,
            timeout: u32,
            handle: *mut u32,
        ) -> u32;
        #[link_name = "await"]
        pub fn await_call(handle: u32, timeout: u32) -> u32;
        #[link_name = "get_status"]
        pub fn get_call_status(handle: u32) -> u32;
        #[link_name = "get_fields"]
        pub fn get_call_fields(handle: u32, kind: u32, buf: *mut u8, limit: usize) -> usize;
        #[link_name = "get_body_length"]
        pub fn get_call_body_length(handle: u32) -> usize;
        #[link_name = "read_body"]
        pub fn read_call_body(handle: u32, offset: usize, buf: *mut u8, limit: usize) -> usize;
        #[link_name = "close"]
        pub fn close_call(handle: u32) -> u32;
    }

    #[link(wasm_import_module = "ergo_log")]
    unsafe extern "C" {
        pub fn emit(
            level: i32,
            message: *const u8,
            length: usize,
            fields: *const u8,
            fields_length: usize,
        );
        pub fn annotate(key: *const u8, key_length: usize, value: *const u8, value_length: usize);
    }

    #[link(wasm_import_module = "ergo_kv")]
    unsafe extern "C" {
        #[link_name = "get"]
        pub fn kv_get(
            key: *const u8,
            key_length: usize,
            buf: *mut u8,
            limit: usize,
            result: *mut u8,
        ) -> u32;
        #[link_name = "set"]
        pub fn kv_set(
            key: *const u8,
            key_length: usize,
            value: *const u8,
            value_length: usize,
            ttl: u64,
            result: *mut u8,
        ) -> u32;
        #[link_name = "set_if"]
        pub fn kv_set_if(
            key: *const u8,
            key_length: usize,
            value: *const u8,
            value_length: usize,
            ttl: u64,
            version: u64,
            result: *mut u8,
        ) -> u32;
        #[link_name = "delete"]
        pub fn kv_delete(key: *const u8, key_length: usize) -> u32;
        #[link_name = "delete_if"]
        pub fn kv_delete_if(key: *const u8, key_length: usize, version: u64) -> u32;
        #[link_name = "add"]
        pub fn kv_add(
            key: *const u8,
            key_length: usize,
            delta: i64,
            ttl: u64,
            result: *mut u8,
        ) -> u32;
        #[link_name = "take"]
        pub fn kv_take(
            key: *const u8,
            key_length: usize,
            tokens: u32,
            per: u32,
            burst: u32,
            n: u32,
            result: *mut u8,
        ) -> u32;
        #[link_name = "window"]
        pub fn kv_window(
            key: *const u8,
            key_length: usize,
            limit: u32,
            per: u32,
            n: u32,
            result: *mut u8,
        ) -> u32;
    }

    #[link(wasm_import_module = "ergo_crypto")]
    unsafe extern "C" {
        pub fn digest(kind: u32, data: *const u8, data_length: usize, out: *mut u8) -> u32;
        pub fn equal(a: *const u8, a_length: usize, b: *const u8, b_length: usize) -> u32;
        #[link_name = "random"]
        pub fn crypto_random(buf: *mut u8, length: usize);
        pub fn key_id(name: *const u8, name_length: usize, buf: *mut u8, limit: usize) -> usize;
        #[link_name = "algorithm"]
        pub fn key_algorithm(
            name: *const u8,
            name_length: usize,
            buf: *mut u8,
            limit: usize,
        ) -> usize;
        pub fn seal(
            name: *const u8,
            name_length: usize,
            plaintext: *const u8,
            plaintext_length: usize,
            associated: *const u8,
            associated_length: usize,
            buf: *mut u8,
            limit: usize,
            length: *mut u32,
        ) -> u32;
        pub fn open(
            name: *const u8,
            name_length: usize,
            sealed: *const u8,
            sealed_length: usize,
            associated: *const u8,
            associated_length: usize,
            buf: *mut u8,
            limit: usize,
            length: *mut u32,
        ) -> u32;
        pub fn sign(
            name: *const u8,
            name_length: usize,
            data: *const u8,
            data_length: usize,
            buf: *mut u8,
            limit: usize,
            length: *mut u32,
        ) -> u32;
        pub fn verify(
            name: *const u8,
            name_length: usize,
            id: *const u8,
            id_length: usize,
            data: *const u8,
            data_length: usize,
            signature: *const u8,
            signature_length: usize,
        ) -> u32;
        pub fn verify_with(
            algorithm: *const u8,
            algorithm_length: usize,
            jwk: *const u8,
            jwk_length: usize,
            data: *const u8,
            data_length: usize,
            signature: *const u8,
            signature_length: usize,
        ) -> u32;
        pub fn check_jwk(
            algorithm: *const u8,
            algorithm_length: usize,
            jwk: *const u8,
            jwk_length: usize,
        ) -> u32;
        pub fn password_verify(
            hash: *const u8,
            hash_length: usize,
            password: *const u8,
            password_length: usize,
        ) -> u32;
        pub fn wrap(
            name: *const u8,
            name_length: usize,
            enc: *const u8,
            enc_length: usize,
            handle: *mut u32,
            buf: *mut u8,
            limit: usize,
            length: *mut u32,
        ) -> u32;
        pub fn unwrap(
            name: *const u8,
            name_length: usize,
            id: *const u8,
            id_length: usize,
            enc: *const u8,
            enc_length: usize,
            encrypted: *const u8,
            encrypted_length: usize,
            agreement: *const u8,
            agreement_length: usize,
            handle: *mut u32,
        ) -> u32;
        pub fn encrypt(
            handle: u32,
            content: *const u8,
            content_length: usize,
            associated: *const u8,
            associated_length: usize,
            buf: *mut u8,
            limit: usize,
            length: *mut u32,
        ) -> u32;
        pub fn decrypt(
            handle: u32,
            nonce: *const u8,
            nonce_length: usize,
            ciphertext: *const u8,
            ciphertext_length: usize,
            tag: *const u8,
            tag_length: usize,
            associated: *const u8,
            associated_length: usize,
            buf: *mut u8,
            limit: usize,
            length: *mut u32,
        ) -> u32;
        #[link_name = "drop"]
        pub fn drop_key(handle: u32) -> u32;
    }
}
