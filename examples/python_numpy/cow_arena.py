"""An arena as numpy arrays, by ctypes and cow/cow.h alone: no glue is compiled.

The library is libcow.so.0, or what COW_LIBRARY names. Errors of the library are OSError.
"""
import ctypes
import os

import numpy

_library = ctypes.CDLL(os.environ.get("COW_LIBRARY", "libcow.so.0"))
_handle, _size, _offset = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t


class _ArenaOptions(ctypes.Structure):
    _fields_ = [("size", _size), ("capacity", _size), ("name", ctypes.c_char_p), ("address", ctypes.c_void_p),
                ("barrier", ctypes.c_int), ("single_writer", ctypes.c_int), ("in_core_dumps", ctypes.c_int),
                ("reserved", ctypes.c_int), ("reserve_history_bytes", _size)]


class _PageRange(ctypes.Structure):
    _fields_ = [("first", _size), ("count", _size)]


def _declare(result, name, *arguments):
    function = getattr(_library, name)
    function.restype, function.argtypes = result, arguments
    return function


def _checked(name, *arguments):
    """A call that gives 0 or a negative errno."""
    function = _declare(ctypes.c_int, name, *arguments)

    def call(*values):
        error = function(*values)
        if error < 0:
            raise OSError(-error, _last_error().decode())
        return error
    return call


_last_error = _declare(ctypes.c_char_p, "cow_last_error")
_free = _declare(None, "cow_free", ctypes.c_void_p)
_options_init = _declare(None, "cow_arena_options_init", ctypes.POINTER(_ArenaOptions))
_open = _checked("cow_arena_open", ctypes.POINTER(_ArenaOptions), ctypes.POINTER(_handle))
_close = _declare(None, "cow_arena_close", _handle)
_data = _declare(ctypes.c_void_p, "cow_arena_data", _handle)
_capacity = _declare(_size, "cow_arena_capacity", _handle)
_snapshot = _checked("cow_arena_snapshot", _handle, ctypes.POINTER(_handle))
_rollback = _checked("cow_arena_rollback", _handle, _handle)
_changed_since = _checked("cow_arena_changed_since", _handle, _handle, ctypes.POINTER(ctypes.POINTER(_PageRange)),
                          ctypes.POINTER(_size))
_stats_json = _checked("cow_arena_stats_json", _handle, ctypes.POINTER(ctypes.c_void_p))
_release = _declare(None, "cow_snapshot_release", _handle)
_clone = _checked("cow_snapshot_clone", _handle, ctypes.POINTER(_handle))
_view = _checked("cow_snapshot_view", _handle, ctypes.POINTER(_handle))
_read = _checked("cow_snapshot_read", _handle, _offset, ctypes.c_void_p, _size)
_view_data = _declare(ctypes.c_void_p, "cow_view_data", _handle)
_view_size = _declare(_size, "cow_view_size", _handle)
_view_close = _declare(None, "cow_view_close", _handle)
page_size = _declare(_size, "cow_page_size")


def _array(owner, address, dtype, shape, offset, room, writable):
    """An array over memory of the library's. It keeps `owner`, and so its memory, alive."""
    dtype = numpy.dtype(dtype)
    count = int(numpy.prod(shape))
    if offset < 0 or offset + count * dtype.itemsize > room:
        raise ValueError(f"{count} elements of {dtype} at {offset} do not fit into {room} bytes")
    memory = (ctypes.c_char * (count * dtype.itemsize)).from_address(address + offset)
    memory.owner = owner
    array = numpy.frombuffer(memory, dtype).reshape(shape)
    array.flags.writeable = writable
    return array


class Snapshot:
    """The content that an arena had at one moment."""

    def __init__(self, handle):
        self.handle = handle

    def __del__(self):
        _release(self.handle)

    def clone(self):
        """A new arena that starts with this content, at another address."""
        clone = _handle()
        _clone(self.handle, ctypes.byref(clone))
        return Arena(handle=clone)

    def view(self):
        """The content, to be read through arrays."""
        view = _handle()
        _view(self.handle, ctypes.byref(view))
        return View(view)

    def read(self, dtype, shape, offset=0):
        """A copy of an array as it was then. Nothing is mapped."""
        copy = numpy.empty(shape, dtype)
        _read(self.handle, offset, copy.ctypes.data, copy.nbytes)
        return copy


class View:
    """A read-only mapping of a snapshot."""

    def __init__(self, handle):
        self.handle = handle

    def __del__(self):
        _view_close(self.handle)

    def array(self, dtype, shape, offset=0):
        return _array(self, _view_data(self.handle), dtype, shape, offset, _view_size(self.handle), writable=False)


class Arena:
    """Memory that can be snapshotted, rolled back and cloned. Its arrays keep it open."""

    def __init__(self, capacity=1 << 30, name="python", handle=None):
        self.handle = _handle() if handle is None else handle
        if handle is None:
            options = _ArenaOptions()
            _options_init(ctypes.byref(options))
            options.capacity, options.name = capacity, name.encode()
            _open(ctypes.byref(options), ctypes.byref(self.handle))

    def __del__(self):
        _close(self.handle)

    def array(self, dtype, shape, offset=0):
        return _array(self, _data(self.handle), dtype, shape, offset, _capacity(self.handle), writable=True)

    def snapshot(self):
        snapshot = _handle()
        _snapshot(self.handle, ctypes.byref(snapshot))
        return Snapshot(snapshot)

    def rollback(self, snapshot):
        _rollback(self.handle, snapshot.handle)

    def changed_since(self, snapshot):
        """[(first page, pages), ...]"""
        ranges, count = ctypes.POINTER(_PageRange)(), _size()
        _changed_since(self.handle, snapshot.handle, ctypes.byref(ranges), ctypes.byref(count))
        found = [(ranges[i].first, ranges[i].count) for i in range(count.value)]
        _free(ranges)
        return found

    def stats(self):
        """The arena's statistics: a dictionary with the names of cow/stats.hpp."""
        import json
        text = ctypes.c_void_p()
        _stats_json(self.handle, ctypes.byref(text))
        try:
            return json.loads(ctypes.string_at(text))
        finally:
            _free(text)
