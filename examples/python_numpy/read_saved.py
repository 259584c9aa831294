#!/usr/bin/env python3
"""Reads saved files of the cow library as numpy arrays: written from src/files/README.md, the page of the format, alone.

    read_saved.py FILE [LAYER...]        what there is, and the sum of all bytes

    from read_saved import load
    memory = load("state.cow", ["monday.layer"])        # bytes of the arena, as numpy.uint8
    numbers = memory[4096:8192].view("<u8")

A whole file whose content lies in one run is mapped, and costs nothing until it is touched; else the pages are put into a
new array, in which what was never written takes no memory. Checksums are not looked at: `cow-file verify` does that.
"""
import mmap
import struct
import sys

import numpy

HEAD = struct.Struct("<8sIIQQQ16s16s16sQQQII")
END = struct.Struct("<8sQQQQQQQ16s")
ENTRY = numpy.dtype([("first", "<u8"), ("pages", "<u8"), ("offset", "<u8"), ("bytes", "<u8")])
MAGIC, END_MAGIC = b"\x89cow\r\n\x1a\n", b"cow-end\n"
LAYER, COMPRESSED = 1, 2
END_BYTES = 128


class Damaged(Exception):
    pass


class SavedFile:
    """One file: head, index, and its bytes, mapped."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            self.map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if len(self.map) < 4096 + END_BYTES:
            raise Damaged(f"{path}: too short for a saved file")
        (magic, version, self.flags, self.page_bytes, self.capacity, self.address, self.id, self.base_id, _content,
         self.heap_version, self.heap_root, _type, name, note) = HEAD.unpack_from(self.map)
        if magic != MAGIC:
            raise Damaged(f"{path}: no saved file")
        if version != 1 or self.flags & ~3:
            raise Damaged(f"{path}: of version {version}, flags {self.flags}")
        if self.flags & COMPRESSED:
            raise Damaged(f"{path}: compressed; `cow-file squash -o PLAIN {path}` makes a plain one")
        self.name = self.map[120:120 + name].decode(errors="replace")
        self.note = self.map[120 + name:120 + name + note].decode(errors="replace")
        end_magic, size, index, entries, _, _, _, self.pages, end_id = END.unpack_from(self.map, len(self.map) - END_BYTES)
        if end_magic != END_MAGIC or size != len(self.map) or end_id != self.id:
            raise Damaged(f"{path}: cut short")
        self.bytes = numpy.frombuffer(self.map, dtype=numpy.uint8)
        self.entries = numpy.frombuffer(self.map, dtype=ENTRY, count=entries, offset=index)

    @property
    def is_layer(self):
        return bool(self.flags & LAYER)

    def lay_on(self, memory):
        """Puts the file's pages over what is there."""
        for first, pages, offset, size in self.entries.tolist():
            begin, length = first * self.page_bytes, pages * self.page_bytes
            memory[begin:begin + length] = self.bytes[offset:offset + size] if size else 0


def load(path, layers=()):
    """The arena's memory: an array of its capacity, of the newest layer's where that is larger."""
    files = [SavedFile(path)] + [SavedFile(layer) for layer in layers]
    if files[0].is_layer:
        raise Damaged(f"{path}: a layer; name the file that it lies on first")
    for below, layer in zip(files, files[1:]):
        if not layer.is_layer or layer.base_id != below.id:
            raise Damaged(f"{layer.path}: no layer on {below.path}")
    whole = files[0]
    if len(files) == 1 and len(whole.entries) == 1:
        first, pages, offset, size = whole.entries.tolist()[0]
        if first == 0 and size == whole.capacity:
            return whole.bytes[offset:offset + size]
    memory = numpy.zeros(max(file.capacity for file in files), dtype=numpy.uint8)
    for file in files:
        file.lay_on(memory)
    return memory[:files[-1].capacity]


def main(paths):
    if not paths or paths[0].startswith("-"):
        print(__doc__.strip())
        return 2
    try:
        for path in paths:
            file = SavedFile(path)
            kind = "layer" if file.is_layer else "whole file"
            print(f"{path}: {kind}, arena {file.name!r} of {file.capacity} bytes at {file.address:#x}, "
                  f"{file.pages} pages of {file.page_bytes} bytes, id {file.id.hex()}" + (f", {file.note}" if file.note else ""))
        memory = load(paths[0], paths[1:])
    except (Damaged, OSError, ValueError) as error:
        print(f"read_saved.py: {error}", file=sys.stderr)
        return 1
    print(f"sum of all {len(memory)} bytes: {int(memory.sum(dtype=numpy.uint64))}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
