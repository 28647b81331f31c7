"""Values that pass between a session's guest and its host.

They are in the format of marshal, version 2, without code objects. What marshal has no type for is a tuple that begins
with StopIteration, which is a constant of that format and no value of a session's:

    (StopIteration, "date", text)                   date.isoformat(), and so for time and datetime
    (StopIteration, "timedelta", days, seconds, microseconds)
    (StopIteration, "other", type, repr)            anything else

What reads them on the host: host-runner/python/src/sandbox/marshal.rs.
"""

import marshal
import sys

_FORMAT = 2
_REPR_MAX = 10_000
_DEPTH_MAX = 200
_LEAVES = {type(None), bool, int, float, complex, str, bytes}


def dump(value, otherwise):
    """The bytes of a value. otherwise gets each part that is none of these types, and returns what is in its place."""
    try:
        return marshal.dumps(value, _FORMAT, allow_code=False)
    except Exception:
        return marshal.dumps(to_data(value, otherwise), _FORMAT)


def load(data):
    """The value of bytes."""
    return _of_data(marshal.loads(data))


def other(value):
    """For dump(): a value's type and its repr()."""
    try:
        text = repr(value)
    except Exception:
        text = f"<{type(value).__qualname__} without a repr>"
    if len(text) > _REPR_MAX:
        text = f"{text[:_REPR_MAX]}..."
    return (StopIteration, "other", type_name(type(value)), text)


def type_name(kind):
    """The name of a type as tracebacks have it."""
    name = kind.__qualname__
    return name if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{name}"


def to_data(value, otherwise, inside=()):
    """A value as marshal takes it. inside has the identities of the containers that it is in."""
    kind = type(value)
    if kind in _LEAVES:
        return value
    if id(value) in inside or len(inside) > _DEPTH_MAX:
        return otherwise(value)
    within = {*inside, id(value)}
    if kind in (list, tuple, set, frozenset):
        items = [to_data(item, otherwise, within) for item in value]
        try:
            return kind(items)
        except TypeError:
            return otherwise(value)
    if kind is dict:
        return {to_data(key, otherwise, within): to_data(item, otherwise, within) for key, item in value.items()}
    module = sys.modules.get("datetime")
    if module is not None:
        for name in ("datetime", "date", "time"):
            if kind is getattr(module, name):
                return (StopIteration, name, value.isoformat())
        if kind is module.timedelta:
            return (StopIteration, "timedelta", value.days, value.seconds, value.microseconds)
    if kind is bytearray:
        return bytes(value)
    return otherwise(value)


def _of_data(data):
    kind = type(data)
    if kind is tuple and data and data[0] is StopIteration:
        import datetime

        _, name, *arguments = data
        if name == "timedelta":
            return datetime.timedelta(*arguments)
        return getattr(datetime, name).fromisoformat(*arguments)
    if kind in (list, tuple, set, frozenset):
        return kind(map(_of_data, data))
    if kind is dict:
        return {_of_data(key): _of_data(item) for key, item in data.items()}
    return data
