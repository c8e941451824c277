// From LevelDB's errors to ours.
#pragma once

#include <leveldb/status.h>

#include <string_view>

#include "src/base/result.h"

namespace raftkv::storage {

// `what` says what was tried ("log: cannot append"). Not found, corruption and what LevelDB calls
// an invalid argument (files missing) keep their meaning; all else is a device that failed: fatal.
[[nodiscard]] std::unexpected<Error> failure_of(const leveldb::Status& status,
                                                std::string_view what);

}  // namespace raftkv::storage
