// Promise: the program's exceptions are unwound by the compiler's own library, whatever else the library is linked to.
#include <dlfcn.h>
#include <unwind.h>

#include <string>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/environment.hpp"

namespace cow::test {
namespace {

TEST(Exceptions, are_unwound_by_the_compilers_library) {
  if (under_sanitizer) GTEST_SKIP() << "the sanitizer has the name";
  const Arena arena{ArenaOptions{}};
  Dl_info found{};
  ASSERT_NE(::dladdr(::dlsym(RTLD_DEFAULT, "_Unwind_RaiseException"), &found), 0);
  EXPECT_NE(std::string(found.dli_fname).find("libgcc_s"), std::string::npos) << found.dli_fname;
}

}  // namespace
}  // namespace cow::test
