#include "tests/fuzz/history.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace raftkv::linearizability;
  read_and_check({reinterpret_cast<const char*>(data), size}, Format::jepsen_log, size % 2 == 1);
  return 0;
}
