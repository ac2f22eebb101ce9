;; Begins with 2 MiB of memory.
(module (memory (export "memory") 32) (func (export "nothing")))
