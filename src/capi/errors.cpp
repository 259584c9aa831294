// Errors as C knows them. The text is of a fixed size: nothing here needs memory.
#include "capi/errors.hpp"

#include <cerrno>
#include <cstdio>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>

#include "cow/cow.h"

namespace cow::capi {

namespace {

constexpr std::size_t longest_text = 1024;
thread_local constinit char text_of_thread[longest_text] = "";

int code_of(const std::system_error& error) noexcept {
  const int code = error.code().value();
  const bool is_errno = error.code().category() == std::generic_category() ||
                        error.code().category() == std::system_category();
  return is_errno && code > 0 ? code : EIO;
}

}  // namespace

int fail(const char* call, int code, const char* why) noexcept {
  std::snprintf(text_of_thread, sizeof text_of_thread, "%s: %s", call, why);
  return -code;
}

int fail_with_current_exception(const char* call) noexcept {
  try {
    throw;
  } catch (const Refused& error) {
    return fail(call, error.code(), error.what());
  } catch (const std::system_error& error) {
    return fail(call, code_of(error), error.what());
  } catch (const std::bad_alloc& error) {
    return fail(call, ENOMEM, error.what());
  } catch (const std::length_error&) {
    return fail(call, ENOMEM, "the list of results is longer than any memory");
  } catch (const std::invalid_argument& error) {
    return fail(call, EINVAL, error.what());
  } catch (const std::out_of_range& error) {
    return fail(call, EINVAL, error.what());
  } catch (const std::logic_error& error) {
    return fail(call, EPERM, error.what());
  } catch (const std::exception& error) {
    return fail(call, EIO, error.what());
  } catch (...) {
    return fail(call, EIO, "a callback threw what is no std::exception");
  }
}

const char* last_error() noexcept { return text_of_thread; }

void require(bool holds, const char* what_is_wrong) {
  if (!holds) throw Refused(what_is_wrong, EINVAL);
}

}  // namespace cow::capi

const char* cow_last_error() noexcept { return cow::capi::last_error(); }
