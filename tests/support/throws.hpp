// Asks for an exception of exactly one type: invalid_argument is a logic_error, so EXPECT_THROW cannot tell them apart.
#pragma once

#include <cctype>
#include <exception>
#include <string>
#include <system_error>
#include <typeinfo>
#include <utility>

#include <gtest/gtest.h>

namespace cow::test {

template <class Exception, class Call>
testing::AssertionResult throws_exactly(Call&& call) {
  try {
    std::forward<Call>(call)();
  } catch (const std::exception& error) {
    if (typeid(error) != typeid(Exception))
      return testing::AssertionFailure() << "threw " << typeid(error).name() << ": " << error.what();
    if (std::string(error.what()).empty()) return testing::AssertionFailure() << "threw without saying why";
    return testing::AssertionSuccess() << error.what();
  } catch (...) {
    return testing::AssertionFailure() << "threw something that is no std::exception";
  }
  return testing::AssertionFailure() << "did not throw";
}

/// A failed system call must name the operation and its sizes.
inline bool names_a_size(const std::string& message) {
  for (const char c : message)
    if (std::isdigit(static_cast<unsigned char>(c)) != 0) return true;
  return false;
}

}  // namespace cow::test
