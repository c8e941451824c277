// CHECK: the one macro family of the project. A failed CHECK is a bug in this program: it prints
// where and what, and stops the process in every build. Never CHECK what a disk, a peer or a client
// can send: that is a Result (src/base/result.h).
#pragma once

#include <string_view>

namespace raftkv {

// Prints "FILE:LINE: CHECK failed: CONDITION: MESSAGE" to standard error and aborts.
[[noreturn, gnu::cold]] void check_failed(const char* file, int line, const char* condition,
                                          std::string_view message = {});

}  // namespace raftkv

// CHECK(condition) or CHECK(condition, "what it means when this does not hold").
#define CHECK(condition, ...)                                                            \
  do {                                                                                   \
    if (!(condition)) [[unlikely]] {                                                     \
      ::raftkv::check_failed(__FILE__, __LINE__, #condition __VA_OPT__(, ) __VA_ARGS__); \
    }                                                                                    \
  } while (false)
