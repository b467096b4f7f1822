"""Holdfast in a Python program: libholdfast.so through ctypes, as an example of a binding.

    from holdfast import Device
    with Device("device.toml") as device:
        device.subscribe("plant/pump-17/command", lambda message: print(message.payload))
        receipt = device.publish("plant/pump-17/rpm", b"1480", wait="delivered")

Copy it and make it yours: the standard library only, Python 3.9. It follows holdfast.h, which has the
rules. Handlers run one at a time on a thread of the device; stop(), publish(wait=…) and request() are
refused there. Where an agent runs on the machine, examples/local-api/holdfast.py serves many programs.
"""
from __future__ import annotations

import ctypes
import dataclasses
import itertools
import json
import os
import queue
from ctypes import POINTER, byref, c_bool, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint8, \
    c_uint32, c_uint64, c_void_p
from typing import Any, Callable, Optional, Union

_lib = ctypes.CDLL(os.environ.get("HOLDFAST_LIBRARY", "libholdfast.so.0"))
_DURABILITIES = ("durable", "memory", "spill")
_SCOPES = {"accepted": 0, "delivered": 1}


class _Property(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("value", c_char_p)]


class _Connection(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("state", c_int32), ("verdict", c_int32), ("detail", c_char_p),
                ("retry_in_ms", c_int64), ("attempts", c_uint32), ("session_present", c_bool),
                ("endpoint", c_char_p), ("endpoint_name", c_char_p), ("client_id", c_char_p)]


class _Receipt(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("id", c_uint64), ("kind", c_int32), ("rejected", c_int32),
                ("dropped", c_int32), ("kept", c_int32), ("reason_code", c_uint8), ("last", c_bool)]


class _Inbound(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("topic", c_char_p), ("payload", c_void_p),
                ("payload_length", c_size_t), ("qos", c_uint8), ("retain", c_bool),
                ("duplicate", c_bool), ("content_type", c_char_p), ("response_topic", c_char_p),
                ("correlation", c_void_p), ("correlation_length", c_size_t),
                ("properties", POINTER(_Property)), ("property_count", c_size_t)]


class _Response(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("kind", c_int32), ("message", POINTER(_Inbound)),
                ("receipt", POINTER(_Receipt))]


class _LogLine(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("text", c_char_p), ("area", c_char_p), ("level", c_int32),
                ("verdict", c_int32), ("fields", POINTER(_Property)), ("field_count", c_size_t)]


class Error(Exception):
    """A call failed; `name` is its holdfast_error, such as "invalid_config" or "rejected"."""

    def __init__(self, code: int):
        self.code = code
        self.name = _lib.holdfast_error_name(code).decode()
        super().__init__(_lib.holdfast_error_message().decode())


@dataclasses.dataclass(frozen=True)
class Connection:
    state: str
    verdict: str
    detail: str
    retry_in: float  # seconds
    endpoint: str
    client_id: str


@dataclasses.dataclass(frozen=True)
class Receipt:
    kind: str
    id: int
    reason: str  # why it was rejected or dropped; "" otherwise
    last: bool


@dataclasses.dataclass(frozen=True)
class Message:
    topic: str
    payload: bytes
    qos: int
    retain: bool
    duplicate: bool
    content_type: str
    response_topic: str
    correlation: bytes
    properties: tuple[tuple[str, str], ...]


class Hold:
    """A message that waits for its acknowledgement, from any thread; see Device.subscribe()."""

    def __init__(self, handle: int):
        self._handle: Optional[int] = handle

    def acknowledge(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            _check(_lib.holdfast_acknowledge(handle))


def _declare() -> None:
    named = ("error", "reject", "drop", "receipt", "response", "state", "verdict", "log_level")
    texts = {f"holdfast_{one}_name": [c_int] for one in named}
    texts.update(holdfast_error_message=[], holdfast_version=[], holdfast_verdict_text=[c_int])
    free = {"holdfast_config_free": [c_void_p], "holdfast_message_free": [c_void_p],
            "holdfast_text_free": [c_void_p]}
    for name, arguments in texts.items():
        getattr(_lib, name).restype = c_char_p
        getattr(_lib, name).argtypes = arguments
    for name, arguments in free.items():
        getattr(_lib, name).restype = None
        getattr(_lib, name).argtypes = arguments
    calls: dict[str, list[Any]] = {
        "config_from_file": [c_char_p, POINTER(c_void_p)],
        "config_set": [c_void_p, c_char_p, c_char_p],
        "config_on_log": [c_void_p, c_void_p, c_void_p],
        "open": [c_void_p, POINTER(c_void_p)],
        "stop": [c_void_p, c_int64],
        "close": [c_void_p],
        "on_connection": [c_void_p, c_void_p, c_void_p],
        "wait_connected": [c_void_p, c_int64],
        "reconnect_now": [c_void_p],
        "reload": [c_void_p, c_void_p],
        "status_json": [c_void_p, POINTER(c_void_p)],
        "message_new": [c_char_p, c_char_p, c_size_t, POINTER(c_void_p)],
        "message_answer": [POINTER(_Inbound), POINTER(c_void_p)],
        "message_set_qos": [c_void_p, c_int],
        "message_set_retain": [c_void_p, c_bool],
        "message_set_durability": [c_void_p, c_int],
        "message_set_lane": [c_void_p, c_char_p],
        "message_set_key": [c_void_p, c_char_p],
        "message_set_expiry": [c_void_p, c_int64],
        "message_set_content_type": [c_void_p, c_char_p],
        "message_set_response_topic": [c_void_p, c_char_p],
        "message_set_correlation": [c_void_p, c_char_p, c_size_t],
        "message_add_property": [c_void_p, c_char_p, c_char_p],
        "publish": [c_void_p, c_void_p, c_int, c_void_p, c_void_p, c_void_p],
        "publish_wait": [c_void_p, c_void_p, c_int, c_int64, POINTER(_Receipt)],
        "subscribe": [c_void_p, c_char_p, c_int, c_void_p, c_void_p, POINTER(c_uint64)],
        "subscribe_held": [c_void_p, c_char_p, c_int, c_void_p, c_void_p, POINTER(c_uint64)],
        "unsubscribe": [c_void_p, c_uint64],
        "acknowledge": [c_void_p],
        "request": [c_void_p, c_void_p, c_int64, c_void_p, c_void_p],
        "heartbeat": [c_void_p, c_char_p, c_int64],
        "end_heartbeat": [c_void_p, c_char_p],
    }
    for name, arguments in calls.items():
        getattr(_lib, "holdfast_" + name).argtypes = arguments


_declare()


def _check(code: int) -> None:
    if code != 0:
        raise Error(code)


def _message(c: _Inbound) -> Message:
    return Message(c.topic.decode(), ctypes.string_at(c.payload, c.payload_length), c.qos, c.retain,
                   c.duplicate, c.content_type.decode(), c.response_topic.decode(),
                   ctypes.string_at(c.correlation, c.correlation_length),
                   tuple((c.properties[i].name.decode(), c.properties[i].value.decode())
                         for i in range(c.property_count)))


def _receipt(c: _Receipt) -> Receipt:
    kind = _lib.holdfast_receipt_name(c.kind).decode()
    reason = {"rejected": lambda: _lib.holdfast_reject_name(c.rejected).decode(),
              "dropped": lambda: _lib.holdfast_drop_name(c.dropped).decode()}.get(kind, str)()
    return Receipt(kind, c.id, reason, c.last)


# C calls these with a number as `user`; what it stands for is here, so that nothing is freed too soon.
_numbers = itertools.count(1)
_handlers: dict[int, Callable[..., Any]] = {}


@ctypes.CFUNCTYPE(None, POINTER(_Receipt), c_void_p)
def _on_receipt(receipt: Any, user: int) -> None:
    given = _receipt(receipt.contents)
    (_handlers.pop if given.last else _handlers.__getitem__)(user)(given)


@ctypes.CFUNCTYPE(None, POINTER(_Inbound), c_void_p)
def _on_message(message: Any, user: int) -> None:
    _handlers[user](_message(message.contents))


@ctypes.CFUNCTYPE(None, POINTER(_Inbound), c_void_p, c_void_p)
def _on_held(message: Any, hold: int, user: int) -> None:
    _handlers[user](_message(message.contents), Hold(hold))


@ctypes.CFUNCTYPE(None, POINTER(_Response), c_void_p)
def _on_response(response: Any, user: int) -> None:
    c = response.contents
    kind = _lib.holdfast_response_name(c.kind).decode()
    _handlers.pop(user)(kind, _message(c.message.contents) if c.message else None)


@ctypes.CFUNCTYPE(None, POINTER(_Connection), c_void_p)
def _on_connection(now: Any, user: int) -> None:
    c = now.contents
    _handlers[user](Connection(_lib.holdfast_state_name(c.state).decode(),
                               _lib.holdfast_verdict_name(c.verdict).decode(), c.detail.decode(),
                               c.retry_in_ms / 1000, c.endpoint.decode(), c.client_id.decode()))


@ctypes.CFUNCTYPE(None, POINTER(_LogLine), c_void_p)
def _on_log(line: Any, user: int) -> None:
    c = line.contents
    _handlers[user](_lib.holdfast_log_level_name(c.level).decode(), c.text.decode(errors="replace"))


def _keep(handler: Callable[..., Any]) -> int:
    number = next(_numbers)
    _handlers[number] = handler
    return number


class Device:
    """A device that stays active. `settings` go over the file: {"connection.client_id": "pump-17"}."""

    def __init__(self, config: Union[str, os.PathLike[str]],
                 settings: Optional[dict[str, str]] = None,
                 on_log: Optional[Callable[[str, str], None]] = None):
        self._handle = c_void_p()
        self._kept: list[int] = []  # numbers of handlers that live as long as the device
        settled = self._config(config, settings)
        try:
            if on_log is not None:
                _check(_lib.holdfast_config_on_log(settled, _on_log, self._own(on_log)))
            _check(_lib.holdfast_open(settled, byref(self._handle)))
        finally:
            _lib.holdfast_config_free(settled)

    @staticmethod
    def _config(file: Any, settings: Optional[dict[str, str]]) -> c_void_p:
        config = c_void_p()
        _check(_lib.holdfast_config_from_file(os.fsencode(file), byref(config)))
        try:
            for key, value in (settings or {}).items():
                _check(_lib.holdfast_config_set(config, key.encode(), value.encode()))
        except Error:
            _lib.holdfast_config_free(config)
            raise
        return config

    def _own(self, handler: Callable[..., Any]) -> int:
        self._kept.append(_keep(handler))
        return self._kept[-1]

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Stops in order, within timing.stop_deadline; what waits stays on disk."""
        handle, self._handle = self._handle, c_void_p()
        _check(_lib.holdfast_close(handle))
        for number in self._kept:
            _handlers.pop(number, None)

    def stop(self, deadline: float) -> None:
        _check(_lib.holdfast_stop(self._handle, int(deadline * 1000)))

    def _made(self, topic: str, payload: bytes, fields: dict[str, Any]) -> c_void_p:
        message = c_void_p()
        _check(_lib.holdfast_message_new(topic.encode(), payload, len(payload), byref(message)))
        try:
            for name, value in fields.items():
                if name == "properties":
                    for pair in value:
                        _check(_lib.holdfast_message_add_property(
                            message, *(text.encode() for text in pair)))
                elif name == "correlation":
                    _check(_lib.holdfast_message_set_correlation(message, value, len(value)))
                else:
                    if name == "durability":
                        value = _DURABILITIES.index(value)
                    _check(getattr(_lib, "holdfast_message_set_" + name)(
                        message, value.encode() if isinstance(value, str) else value))
        except BaseException:
            _lib.holdfast_message_free(message)
            raise
        return message

    def publish(self, topic: str, payload: bytes = b"", *, wait: Optional[str] = None,
                timeout: float = 30, on_receipt: Optional[Callable[[Receipt], None]] = None,
                **fields: Any) -> Optional[Receipt]:
        """Fields: qos, retain, durability ("durable", "memory", "spill"), lane, key, expiry (seconds),
        content_type, response_topic, correlation, properties (pairs). With `wait` ("accepted" or
        "delivered") the receipt is given; else it goes to `on_receipt`, for each step."""
        message = self._made(topic, payload, fields)
        try:
            if wait is not None:
                receipt = _Receipt(size=ctypes.sizeof(_Receipt))
                _check(_lib.holdfast_publish_wait(self._handle, message, _SCOPES[wait],
                                                  int(timeout * 1000), byref(receipt)))
                return _receipt(receipt)
            number = _keep(on_receipt) if on_receipt is not None else None
            code = _lib.holdfast_publish(self._handle, message, 1,
                                         _on_receipt if number is not None else None, number, None)
            if code != 0:
                _handlers.pop(number or 0, None)
            _check(code)
            return None
        finally:
            _lib.holdfast_message_free(message)

    def subscribe(self, filter: str, handler: Callable[..., None], *, qos: int = 1,
                  acknowledge: bool = False) -> int:
        """handler(message), or handler(message, hold) if it acknowledges by hand."""
        number = c_uint64()
        how, take = (_lib.holdfast_subscribe_held, _on_held) if acknowledge else \
            (_lib.holdfast_subscribe, _on_message)
        _check(how(self._handle, filter.encode(), qos, take, self._own(handler), byref(number)))
        return number.value

    def unsubscribe(self, number: int) -> None:
        _check(_lib.holdfast_unsubscribe(self._handle, number))

    def request(self, topic: str, payload: bytes = b"", *, timeout: float = 10,
                **fields: Any) -> Message:
        """Waits for the answer; TimeoutError or RuntimeError if there is none."""
        answers: queue.SimpleQueue[tuple[str, Optional[Message]]] = queue.SimpleQueue()
        message = self._made(topic, payload, fields)
        number = _keep(lambda kind, answer: answers.put((kind, answer)))
        try:
            _check(_lib.holdfast_request(self._handle, message, int(timeout * 1000), _on_response,
                                         number))
        except Error:
            _handlers.pop(number, None)
            raise
        finally:
            _lib.holdfast_message_free(message)
        kind, answer = answers.get()  # once, within the timeout
        if answer is None:
            raise TimeoutError(kind) if kind == "timed_out" else RuntimeError(kind)
        return answer

    def answer(self, request: Message, payload: bytes, **fields: Any) -> None:
        """Answers a request; nothing if none is wanted."""
        if request.response_topic:
            self.publish(request.response_topic, payload, correlation=request.correlation, **fields)

    def on_connection(self, handler: Callable[[Connection], None]) -> None:
        _check(_lib.holdfast_on_connection(self._handle, _on_connection, self._own(handler)))

    def wait_connected(self, timeout: float) -> None:
        _check(_lib.holdfast_wait_connected(self._handle, int(timeout * 1000)))

    def reconnect_now(self) -> None:
        _check(_lib.holdfast_reconnect_now(self._handle))

    def reload(self, config: Union[str, os.PathLike[str]],
               settings: Optional[dict[str, str]] = None) -> None:
        settled = self._config(config, settings)
        try:
            _check(_lib.holdfast_reload(self._handle, settled))
        finally:
            _lib.holdfast_config_free(settled)

    def status(self) -> dict[str, Any]:
        """docs/local-api.md has the members."""
        text = c_void_p()
        _check(_lib.holdfast_status_json(self._handle, byref(text)))
        try:
            return json.loads(ctypes.string_at(text.value or 0))
        finally:
            _lib.holdfast_text_free(text)

    def heartbeat(self, name: str, every: float = 0) -> None:
        _check(_lib.holdfast_heartbeat(self._handle, name.encode(), int(every * 1000)))

    def end_heartbeat(self, name: str) -> None:
        _check(_lib.holdfast_end_heartbeat(self._handle, name.encode()))
