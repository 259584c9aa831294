// The one line that the library ever prints: on a fault in an arena or a view that cannot be resolved, or of a child
// that cannot live (fork() on a stack inside an arena). Runs in the signal handler: formats by hand into a buffer on
// the stack, and writes it with one system call.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel/os.hpp"

namespace cow {

class ReportLine {
 public:
  ReportLine& operator<<(const char* text) noexcept {
    while (*text != '\0') put(*text++);
    return *this;
  }

  ReportLine& operator<<(std::uint64_t number) noexcept {
    char digits[20];
    int count = 0;
    do digits[count++] = static_cast<char>('0' + number % 10);
    while ((number /= 10) != 0);
    while (count != 0) put(digits[--count]);
    return *this;
  }

  ReportLine& operator<<(const void* address) noexcept {
    *this << "0x";
    const std::uint64_t value = reinterpret_cast<std::uint64_t>(address);
    for (int shift = 60; shift >= 0; shift -= 4) {
      if (value >> shift != 0 || shift == 0) put("0123456789abcdef"[value >> shift & 15]);
    }
    return *this;
  }

  void write() noexcept {
    text_[length_++] = '\n';
    os::report(text_, length_);
  }

 private:
  void put(char c) noexcept {
    if (length_ + 1 < sizeof text_) text_[length_++] = c;
  }

  char text_[320];
  std::size_t length_ = 0;
};

}  // namespace cow
