;; Not a guest: one function is missing, the other has another type, and the
;; memory is not exported.
(module (memory 1) (func (export "handle_request") (result i32) (i32.const 1)))
