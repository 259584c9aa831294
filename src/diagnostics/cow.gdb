# For gdb: `source cow.gdb`, or `gdb -x cow.gdb`. Lets the faults of copy-on-write pass, and adds two commands that need
# no running process: a core dump does. What they need of debug information the library has in every build, unless it
# was stripped.
#   cow-arenas              every arena: where it is, its pages, what its faults were
#   cow-versions [ADDRESS]  the snapshots of every arena, or of the one that has the address
#
# A fault outside of any arena still stops the program: the library hands it on as the signal it was, and if nobody has a
# handler, the process ends by it. To stop at each fault again: handle SIGSEGV stop print.
handle SIGSEGV nostop noprint pass
handle SIGBUS nostop noprint pass

python
import gdb


class CowUnavailable(gdb.GdbError):
    pass


def cow_in_cplusplus(invoke):
    """Whatever function the program has stopped in, such as one of libc's: names are C++ names."""

    def with_language(self, argument, from_tty):
        before = gdb.parameter("language")
        gdb.execute("set language c++", to_string=True)
        try:
            invoke(self, argument, from_tty)
        finally:
            gdb.execute("set language " + before, to_string=True)

    return with_language


def cow_word(name, kind):
    """An atomic has the representation of its value."""
    try:
        return gdb.parse_and_eval("*(%s*)&%s" % (kind, name))
    except gdb.error as error:
        raise CowUnavailable("cow: no debug information of the library, or no process: it has some unless it was stripped (%s)" % error)


def cow_at(address, kind):
    return gdb.Value(int(address)).cast(gdb.lookup_type(kind).pointer()).dereference()


def cow_value(atomic, kind):
    return cow_at(atomic.address, kind)


def cow_slots():
    """The fault registry's slots: blocks of 64, 128, 256, ... as in faults/registry.cpp."""
    space = "'cow::fault_registry::(anonymous namespace)::%s'"
    left = int(cow_word(space % "slot_count", "unsigned int"))
    block, size = 0, 64
    while left > 0:
        slots = cow_word((space % "blocks") + "[%d]" % block, "cow::FaultSlot*")
        for i in range(min(left, size)):
            yield slots[i]
        left, block, size = left - size, block + 1, size * 2


def cow_books():
    for slot in cow_slots():
        if int(slot["books"]) != 0 and int(cow_value(slot["end"], "unsigned long")) != 0:
            yield slot["books"].dereference()


def cow_range(books):
    begin = int(books["base"])
    return begin, begin + (int(books["pages"]) << int(books["page_shift"]))


def cow_title(books):
    begin, end = cow_range(books)
    return 'arena "%s" at 0x%x to 0x%x, %d pages' % (books["name"].string(), begin, end, int(books["pages"]))


def cow_versions_of(books):
    """The chain of versions, an intrusive list; a version begins with its hook."""
    header = int(books["versions"]["data_"]["root_plus_size_"]["m_header"].address)
    at = header
    while True:
        at = int(cow_at(at, "boost::intrusive::list_node<void*>")["next_"])
        if at == header:
            return
        yield cow_at(at, "cow::detail::Version")


class CowArenas(gdb.Command):
    """Lists the arenas of the process: cow-arenas"""

    def __init__(self):
        super().__init__("cow-arenas", gdb.COMMAND_DATA)

    @cow_in_cplusplus
    def invoke(self, argument, from_tty):
        count = 0
        for books in cow_books():
            count += 1
            faults = books["faults"]
            written = int(books["own"]["count_"]) - int(books["blank"]["count_"])
            print(cow_title(books))
            print("  epoch %d, %d snapshots, %d pages written, %d writable, %d mappings"
                  % (int(books["epoch"]["value"]), sum(1 for _ in cow_versions_of(books)), written,
                     int(books["writable"]["count_"]), int(books["mappings"])))
            print("  faults: %d first touch, %d sole owner, %d to history, %d moved"
                  % tuple(int(faults[kind]) for kind in ("first_touch", "sole_owner", "to_history", "moved")))
        if count == 0:
            print("no arenas")


class CowVersions(gdb.Command):
    """Lists the snapshots of all arenas, or of the one that has an address: cow-versions [ADDRESS]"""

    def __init__(self):
        super().__init__("cow-versions", gdb.COMMAND_DATA)

    @cow_in_cplusplus
    def invoke(self, argument, from_tty):
        address = int(gdb.parse_and_eval(argument)) if argument else None
        found = False
        for books in cow_books():
            begin, end = cow_range(books)
            if address is not None and not begin <= address < end:
                continue
            found = True
            print(cow_title(books))
            for place, version in enumerate(cow_versions_of(books), 1):
                print("  snapshot %d: epoch %d, %d handles, %d pages written since"
                      % (place, int(version["epoch"]["value"]), int(cow_value(version["handles"], "unsigned long")),
                         int(version["log"]["size_"])))
        if not found:
            print("no arena" + (" has that address" if argument else "s"))


CowArenas()
CowVersions()
end
