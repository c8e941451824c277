#include "src/base/bytes.h"

#include "src/base/check.h"
#include "src/base/result.h"

namespace raftkv {

SharedBytes SharedBytes::from(std::string bytes) {
  auto owner = std::make_shared<const std::string>(std::move(bytes));
  const std::string_view view = *owner;
  return {std::move(owner), view};
}

SharedBytes SharedBytes::slice(std::size_t offset, std::size_t length) const {
  CHECK(offset <= bytes_.size());
  CHECK(length <= bytes_.size() - offset);
  return {owner_, bytes_.substr(offset, length)};
}

void ByteWriter::sized(std::string_view bytes) {
  CHECK(bytes.size() <= 0xffffffffu);
  u32(static_cast<std::uint32_t>(bytes.size()));
  raw(bytes);
}

std::string to_hex(std::uint64_t value) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out(16, '0');
  for (std::size_t i = 16; i > 0; --i, value >>= 4) out[i - 1] = kDigits[value & 0xf];
  return out;
}

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid:
      return "invalid";
    case ErrorCode::not_found:
      return "not_found";
    case ErrorCode::corrupt:
      return "corrupt";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::exhausted:
      return "exhausted";
    case ErrorCode::unavailable:
      return "unavailable";
    case ErrorCode::fatal:
      return "fatal";
  }
  CHECK(false, "an error code without a name");
}

}  // namespace raftkv
