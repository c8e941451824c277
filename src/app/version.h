#pragma once

namespace raftkv::app {

// Of this build, as the top CMakeLists.txt says: "0.1.0".
extern const char* const kVersion;

}  // namespace raftkv::app
