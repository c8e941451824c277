#include "src/storage/status.h"

#include <fmt/format.h>

#include "src/base/check.h"

namespace raftkv::storage {
namespace {

ErrorCode code_of(const leveldb::Status& status) {
  CHECK(!status.ok());
  if (status.IsNotFound()) return ErrorCode::not_found;
  if (status.IsCorruption() || status.IsInvalidArgument()) return ErrorCode::corrupt;
  return ErrorCode::fatal;
}

}  // namespace

std::unexpected<Error> failure_of(const leveldb::Status& status, std::string_view what) {
  return failure(code_of(status), fmt::format("{}: {}", what, status.ToString()));
}

}  // namespace raftkv::storage
