// What a shared library of this one exports: the public names, marked by COW_API, and nothing else. Every public header
// includes it, so what all of them need of the compiler is asked for here: in one line and an include that ends the
// compilation, since an #error alone is followed by a page of others.
#pragma once

#include <cstddef>

#if !defined(__cplusplus) || __cplusplus < 202002L
#error "cow needs C++20: compile with -std=c++20 or later"
#include <cow_needs/cpp20>
#elif !defined(__linux__)
#error "cow needs Linux: it is built on memfd, mprotect and SIGSEGV as Linux has them"
#include <cow_needs/linux>
#elif !defined(__cpp_exceptions)
#error "cow tells errors by exceptions: compile without -fno-exceptions"
#include <cow_needs/exceptions>
#elif defined(_LIBCPP_VERSION) && _LIBCPP_VERSION < 16000
#error "cow needs std::pmr, which libc++ has since 16: take that, or libstdc++ 12"
#include <cow_needs/libcpp16>
#endif

#define COW_API __attribute__((visibility("default")))
