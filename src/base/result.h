// Result<T>: what the outside world (disk, wire, flags, clients) gives back. A bug is a CHECK
// instead.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace raftkv {

enum class ErrorCode {
  invalid,      // bytes or arguments that break a documented rule; trying again does not help
  not_found,    // what was asked for is not there
  corrupt,      // a checksum or a structure on disk or wire does not hold
  unsupported,  // a version or feature that this build does not know
  exhausted,    // a named limit is reached; try later or raise it
  unavailable,  // somebody else is in the way (a lock, a peer); trying again may help
  fatal,        // the device failed in a way that makes further writes unsafe: stop the node
};

[[nodiscard]] std::string_view to_string(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::invalid;
  std::string message;  // one sentence for a person: what, where, and what to do if known

  bool operator==(const Error&) const = default;
};

template <typename T>
struct [[nodiscard]] Result : std::expected<T, Error> {
  using std::expected<T, Error>::expected;
};

using Status = Result<void>;

// return failure(ErrorCode::corrupt, "promise file: slot 0 has a bad checksum");
// Cold: the compiler lays what leads here out of the way of what succeeds.
[[nodiscard, gnu::cold]] inline std::unexpected<Error> failure(ErrorCode code,
                                                               std::string message) {
  return std::unexpected(Error{code, std::move(message)});
}

// Hands the error of one Result on as the error of another type.
template <typename T>
[[nodiscard]] std::unexpected<Error> failure(const Result<T>& result) {
  return std::unexpected(result.error());
}

}  // namespace raftkv
