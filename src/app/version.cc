#include "src/app/version.h"

namespace raftkv::app {

const char* const kVersion = RAFTKV_VERSION;

}  // namespace raftkv::app
