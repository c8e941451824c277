// The form is told by the content; then the same bytes as an initial state.
#include "tests/fuzz/history.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace raftkv::linearizability;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  read_and_check(text, Format::automatic, false);
  History empty;
  static_cast<void>(read_initial(empty, text));
  return 0;
}
