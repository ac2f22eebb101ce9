from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OTHER: _ClassVar[Reason]
    NOT_GRANTED: _ClassVar[Reason]
    UNKNOWN: _ClassVar[Reason]
    MALFORMED: _ClassVar[Reason]
    MISMATCH: _ClassVar[Reason]
    TOO_LARGE: _ClassVar[Reason]
    BUSY: _ClassVar[Reason]
    LATE: _ClassVar[Reason]
OTHER: Reason
NOT_GRANTED: Reason
UNKNOWN: Reason
MALFORMED: Reason
MISMATCH: Reason
TOO_LARGE: Reason
BUSY: Reason
LATE: Reason

class Configuration(_message.Message):
    __slots__ = ("policy", "config")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    policy: str
    config: bytes
    def __init__(self, policy: _Optional[str] = ..., config: _Optional[bytes] = ...) -> None: ...

class Contract(_message.Message):
    __slots__ = ("request", "response", "failure", "trailers", "done", "fields", "start", "keys")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    TRAILERS_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    request: bool
    response: bool
    failure: bool
    trailers: bool
    done: bool
    fields: _containers.RepeatedScalarFieldContainer[str]
    start: bool
    keys: bool
    def __init__(self, request: _Optional[bool] = ..., response: _Optional[bool] = ..., failure: _Optional[bool] = ..., trailers: _Optional[bool] = ..., done: _Optional[bool] = ..., fields: _Optional[_Iterable[str]] = ..., start: _Optional[bool] = ..., keys: _Optional[bool] = ...) -> None: ...

class HostBatch(_message.Message):
    __slots__ = ("events", "ended")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[HostEvent]
    ended: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, events: _Optional[_Iterable[_Union[HostEvent, _Mapping]]] = ..., ended: _Optional[_Iterable[int]] = ...) -> None: ...

class HostEvent(_message.Message):
    __slots__ = ("exchange", "request", "response", "request_body", "response_body", "trailers", "end", "result", "key")
    EXCHANGE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_BODY_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_BODY_FIELD_NUMBER: _ClassVar[int]
    TRAILERS_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    exchange: int
    request: Request
    response: Response
    request_body: Chunk
    response_body: Chunk
    trailers: bytes
    end: End
    result: Result
    key: KeyQuery
    def __init__(self, exchange: _Optional[int] = ..., request: _Optional[_Union[Request, _Mapping]] = ..., response: _Optional[_Union[Response, _Mapping]] = ..., request_body: _Optional[_Union[Chunk, _Mapping]] = ..., response_body: _Optional[_Union[Chunk, _Mapping]] = ..., trailers: _Optional[bytes] = ..., end: _Optional[_Union[End, _Mapping]] = ..., result: _Optional[_Union[Result, _Mapping]] = ..., key: _Optional[_Union[KeyQuery, _Mapping]] = ...) -> None: ...

class KeyQuery(_message.Message):
    __slots__ = ("number", "name")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    number: int
    name: str
    def __init__(self, number: _Optional[int] = ..., name: _Optional[str] = ...) -> None: ...

class Request(_message.Message):
    __slots__ = ("method", "scheme", "authority", "target", "fields", "id", "client", "subject", "traceparent", "body", "identified_by", "attributes", "protocol")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    SCHEME_FIELD_NUMBER: _ClassVar[int]
    AUTHORITY_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIED_BY_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    method: str
    scheme: str
    authority: str
    target: str
    fields: bytes
    id: str
    client: str
    subject: str
    traceparent: str
    body: bool
    identified_by: str
    attributes: _containers.RepeatedCompositeFieldContainer[Note]
    protocol: str
    def __init__(self, method: _Optional[str] = ..., scheme: _Optional[str] = ..., authority: _Optional[str] = ..., target: _Optional[str] = ..., fields: _Optional[bytes] = ..., id: _Optional[str] = ..., client: _Optional[str] = ..., subject: _Optional[str] = ..., traceparent: _Optional[str] = ..., body: _Optional[bool] = ..., identified_by: _Optional[str] = ..., attributes: _Optional[_Iterable[_Union[Note, _Mapping]]] = ..., protocol: _Optional[str] = ...) -> None: ...

class Response(_message.Message):
    __slots__ = ("status", "fields", "failure", "body")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    status: int
    fields: bytes
    failure: bool
    body: bool
    def __init__(self, status: _Optional[int] = ..., fields: _Optional[bytes] = ..., failure: _Optional[bool] = ..., body: _Optional[bool] = ...) -> None: ...

class Chunk(_message.Message):
    __slots__ = ("data", "last")
    DATA_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    last: bool
    def __init__(self, data: _Optional[bytes] = ..., last: _Optional[bool] = ...) -> None: ...

class End(_message.Message):
    __slots__ = ("status", "microseconds")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    MICROSECONDS_FIELD_NUMBER: _ClassVar[int]
    status: int
    microseconds: int
    def __init__(self, status: _Optional[int] = ..., microseconds: _Optional[int] = ...) -> None: ...

class PolicyBatch(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[PolicyEvent]
    def __init__(self, events: _Optional[_Iterable[_Union[PolicyEvent, _Mapping]]] = ...) -> None: ...

class PolicyEvent(_message.Message):
    __slots__ = ("exchange", "done", "call", "piece", "key")
    EXCHANGE_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    CALL_FIELD_NUMBER: _ClassVar[int]
    PIECE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    exchange: int
    done: Done
    call: Call
    piece: bytes
    key: KeyReply
    def __init__(self, exchange: _Optional[int] = ..., done: _Optional[_Union[Done, _Mapping]] = ..., call: _Optional[_Union[Call, _Mapping]] = ..., piece: _Optional[bytes] = ..., key: _Optional[_Union[KeyReply, _Mapping]] = ...) -> None: ...

class KeyReply(_message.Message):
    __slots__ = ("number", "error", "versions")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    number: int
    error: str
    versions: _containers.RepeatedCompositeFieldContainer[KeyVersion]
    def __init__(self, number: _Optional[int] = ..., error: _Optional[str] = ..., versions: _Optional[_Iterable[_Union[KeyVersion, _Mapping]]] = ...) -> None: ...

class KeyVersion(_message.Message):
    __slots__ = ("id", "material")
    ID_FIELD_NUMBER: _ClassVar[int]
    MATERIAL_FIELD_NUMBER: _ClassVar[int]
    id: str
    material: bytes
    def __init__(self, id: _Optional[str] = ..., material: _Optional[bytes] = ...) -> None: ...

class Done(_message.Message):
    __slots__ = ("answer", "remove", "add", "method", "authority", "target", "status", "body", "stream", "route", "identity", "notes", "hold", "error", "measures")
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    REMOVE_FIELD_NUMBER: _ClassVar[int]
    ADD_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    AUTHORITY_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    HOLD_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    MEASURES_FIELD_NUMBER: _ClassVar[int]
    answer: Answer
    remove: _containers.RepeatedScalarFieldContainer[str]
    add: bytes
    method: str
    authority: str
    target: str
    status: int
    body: bytes
    stream: bool
    route: Route
    identity: Identity
    notes: _containers.RepeatedCompositeFieldContainer[Note]
    hold: int
    error: str
    measures: _containers.RepeatedCompositeFieldContainer[Measure]
    def __init__(self, answer: _Optional[_Union[Answer, _Mapping]] = ..., remove: _Optional[_Iterable[str]] = ..., add: _Optional[bytes] = ..., method: _Optional[str] = ..., authority: _Optional[str] = ..., target: _Optional[str] = ..., status: _Optional[int] = ..., body: _Optional[bytes] = ..., stream: _Optional[bool] = ..., route: _Optional[_Union[Route, _Mapping]] = ..., identity: _Optional[_Union[Identity, _Mapping]] = ..., notes: _Optional[_Iterable[_Union[Note, _Mapping]]] = ..., hold: _Optional[int] = ..., error: _Optional[str] = ..., measures: _Optional[_Iterable[_Union[Measure, _Mapping]]] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("status", "fields", "body")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    status: int
    fields: bytes
    body: bytes
    def __init__(self, status: _Optional[int] = ..., fields: _Optional[bytes] = ..., body: _Optional[bytes] = ...) -> None: ...

class Route(_message.Message):
    __slots__ = ("upstream", "hash_key")
    UPSTREAM_FIELD_NUMBER: _ClassVar[int]
    HASH_KEY_FIELD_NUMBER: _ClassVar[int]
    upstream: str
    hash_key: str
    def __init__(self, upstream: _Optional[str] = ..., hash_key: _Optional[str] = ...) -> None: ...

class Identity(_message.Message):
    __slots__ = ("subject", "method", "attributes")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    subject: str
    method: str
    attributes: _containers.RepeatedCompositeFieldContainer[Note]
    def __init__(self, subject: _Optional[str] = ..., method: _Optional[str] = ..., attributes: _Optional[_Iterable[_Union[Note, _Mapping]]] = ...) -> None: ...

class Note(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class Measure(_message.Message):
    __slots__ = ("kind", "name", "value")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        COUNTER: _ClassVar[Measure.Kind]
        GAUGE: _ClassVar[Measure.Kind]
        LEVEL: _ClassVar[Measure.Kind]
        HISTOGRAM: _ClassVar[Measure.Kind]
    COUNTER: Measure.Kind
    GAUGE: Measure.Kind
    LEVEL: Measure.Kind
    HISTOGRAM: Measure.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    kind: Measure.Kind
    name: str
    value: int
    def __init__(self, kind: _Optional[_Union[Measure.Kind, str]] = ..., name: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...

class Call(_message.Message):
    __slots__ = ("number", "fetch", "secret", "get", "set", "add", "key", "seal", "open", "sign", "verify", "wrap", "unwrap", "encrypt", "decrypt", "drop", "measures")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    FETCH_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    GET_FIELD_NUMBER: _ClassVar[int]
    SET_FIELD_NUMBER: _ClassVar[int]
    ADD_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    SEAL_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    SIGN_FIELD_NUMBER: _ClassVar[int]
    VERIFY_FIELD_NUMBER: _ClassVar[int]
    WRAP_FIELD_NUMBER: _ClassVar[int]
    UNWRAP_FIELD_NUMBER: _ClassVar[int]
    ENCRYPT_FIELD_NUMBER: _ClassVar[int]
    DECRYPT_FIELD_NUMBER: _ClassVar[int]
    DROP_FIELD_NUMBER: _ClassVar[int]
    MEASURES_FIELD_NUMBER: _ClassVar[int]
    number: int
    fetch: Fetch
    secret: str
    get: str
    set: Set
    add: Add
    key: str
    seal: Sealing
    open: Sealing
    sign: Signing
    verify: Signing
    wrap: Wrapping
    unwrap: Wrapping
    encrypt: Content
    decrypt: Content
    drop: int
    measures: Measures
    def __init__(self, number: _Optional[int] = ..., fetch: _Optional[_Union[Fetch, _Mapping]] = ..., secret: _Optional[str] = ..., get: _Optional[str] = ..., set: _Optional[_Union[Set, _Mapping]] = ..., add: _Optional[_Union[Add, _Mapping]] = ..., key: _Optional[str] = ..., seal: _Optional[_Union[Sealing, _Mapping]] = ..., open: _Optional[_Union[Sealing, _Mapping]] = ..., sign: _Optional[_Union[Signing, _Mapping]] = ..., verify: _Optional[_Union[Signing, _Mapping]] = ..., wrap: _Optional[_Union[Wrapping, _Mapping]] = ..., unwrap: _Optional[_Union[Wrapping, _Mapping]] = ..., encrypt: _Optional[_Union[Content, _Mapping]] = ..., decrypt: _Optional[_Union[Content, _Mapping]] = ..., drop: _Optional[int] = ..., measures: _Optional[_Union[Measures, _Mapping]] = ...) -> None: ...

class Measures(_message.Message):
    __slots__ = ("measures",)
    MEASURES_FIELD_NUMBER: _ClassVar[int]
    measures: _containers.RepeatedCompositeFieldContainer[Measure]
    def __init__(self, measures: _Optional[_Iterable[_Union[Measure, _Mapping]]] = ...) -> None: ...

class Sealing(_message.Message):
    __slots__ = ("key", "data", "associated")
    KEY_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    ASSOCIATED_FIELD_NUMBER: _ClassVar[int]
    key: str
    data: bytes
    associated: bytes
    def __init__(self, key: _Optional[str] = ..., data: _Optional[bytes] = ..., associated: _Optional[bytes] = ...) -> None: ...

class Signing(_message.Message):
    __slots__ = ("key", "data", "id", "signature")
    KEY_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    key: str
    data: bytes
    id: str
    signature: bytes
    def __init__(self, key: _Optional[str] = ..., data: _Optional[bytes] = ..., id: _Optional[str] = ..., signature: _Optional[bytes] = ...) -> None: ...

class Wrapping(_message.Message):
    __slots__ = ("key", "enc", "handle", "id", "encrypted", "epk", "apu", "apv")
    KEY_FIELD_NUMBER: _ClassVar[int]
    ENC_FIELD_NUMBER: _ClassVar[int]
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    ENCRYPTED_FIELD_NUMBER: _ClassVar[int]
    EPK_FIELD_NUMBER: _ClassVar[int]
    APU_FIELD_NUMBER: _ClassVar[int]
    APV_FIELD_NUMBER: _ClassVar[int]
    key: str
    enc: str
    handle: int
    id: str
    encrypted: bytes
    epk: str
    apu: str
    apv: str
    def __init__(self, key: _Optional[str] = ..., enc: _Optional[str] = ..., handle: _Optional[int] = ..., id: _Optional[str] = ..., encrypted: _Optional[bytes] = ..., epk: _Optional[str] = ..., apu: _Optional[str] = ..., apv: _Optional[str] = ...) -> None: ...

class Content(_message.Message):
    __slots__ = ("handle", "data", "associated", "nonce", "tag")
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    ASSOCIATED_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    handle: int
    data: bytes
    associated: bytes
    nonce: bytes
    tag: bytes
    def __init__(self, handle: _Optional[int] = ..., data: _Optional[bytes] = ..., associated: _Optional[bytes] = ..., nonce: _Optional[bytes] = ..., tag: _Optional[bytes] = ...) -> None: ...

class Fetch(_message.Message):
    __slots__ = ("method", "url", "fields", "body", "timeout_ms")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    method: str
    url: str
    fields: bytes
    body: bytes
    timeout_ms: int
    def __init__(self, method: _Optional[str] = ..., url: _Optional[str] = ..., fields: _Optional[bytes] = ..., body: _Optional[bytes] = ..., timeout_ms: _Optional[int] = ...) -> None: ...

class Set(_message.Message):
    __slots__ = ("key", "value", "ttl_ms")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: bytes
    ttl_ms: int
    def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ..., ttl_ms: _Optional[int] = ...) -> None: ...

class Add(_message.Message):
    __slots__ = ("key", "delta", "ttl_ms")
    KEY_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    key: str
    delta: int
    ttl_ms: int
    def __init__(self, key: _Optional[str] = ..., delta: _Optional[int] = ..., ttl_ms: _Optional[int] = ...) -> None: ...

class Result(_message.Message):
    __slots__ = ("number", "error", "found", "value", "count", "status", "fields", "reason", "handle", "epk", "id", "algorithm")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    EPK_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    ALGORITHM_FIELD_NUMBER: _ClassVar[int]
    number: int
    error: str
    found: bool
    value: bytes
    count: int
    status: int
    fields: bytes
    reason: Reason
    handle: int
    epk: bytes
    id: str
    algorithm: str
    def __init__(self, number: _Optional[int] = ..., error: _Optional[str] = ..., found: _Optional[bool] = ..., value: _Optional[bytes] = ..., count: _Optional[int] = ..., status: _Optional[int] = ..., fields: _Optional[bytes] = ..., reason: _Optional[_Union[Reason, str]] = ..., handle: _Optional[int] = ..., epk: _Optional[bytes] = ..., id: _Optional[str] = ..., algorithm: _Optional[str] = ...) -> None: ...
