// What the snippets of the documents take for granted: the names that their readers have in their own programs.
#pragma once

#include <cow/cow.hpp>

#include <atomic>
#include <boost/container/map.hpp>
#include <boost/container/scoped_allocator.hpp>
#include <boost/container/string.hpp>
#include <boost/container/vector.hpp>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gtest/gtest.h>

// Snippets show calls, and not what is done with their results.
#pragma GCC diagnostic ignored "-Wunused-variable"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wshadow"

namespace documents {
namespace {

struct Account {
  long balance = 100;
};

cow::Arena arena({.capacity = std::size_t{16} << 20, .name = "documents"});

// Away from what the snippets make by themselves.
std::byte* const middle = arena.data() + (std::size_t{8} << 20);
Account* const from = ::new (middle) Account;
Account* const to = ::new (middle + 4096) Account;
Account* const account = from;
const long less = 90, more = 110;
const std::span<std::byte> buffer(middle + 8192, 8192);
const int fd = ::open("/dev/zero", O_RDONLY | O_CLOEXEC);
const cow::Snapshot before = arena.snapshot();

std::atomic<int> rounds_left = 1000;
inline bool work() { return rounds_left-- > 0; }
inline void update() { ++from->balance; }
inline void run() { update(); }
inline void try_one_way() { from->balance = 1; }
inline void try_another_way() { from->balance = 2; }
inline long score(const cow::Snapshot& of) { return of.read(from).balance; }

}  // namespace
}  // namespace documents
