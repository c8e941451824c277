#include "src/base/bytes.h"

#include <array>
#include <bit>
#include <cstring>

#include "src/base/check.h"
#include "src/base/result.h"

namespace raftkv {
namespace {

// One instruction or two, where a loop over the bytes is eight.
template <typename Number>
void put(char* at, Number value, std::endian order) {
  if (order != std::endian::native) value = std::byteswap(value);
  std::memcpy(at, &value, sizeof(value));
}

template <typename Number>
Number get(const char* at, std::endian order) {
  Number value = 0;
  std::memcpy(&value, at, sizeof(value));
  return order == std::endian::native ? value : std::byteswap(value);
}

}  // namespace

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

void ByteWriter::fixed(std::uint64_t v, int size) {
  std::array<char, 8> buffer;
  put_u64(buffer.data(), v);
  out_.append(buffer.data(), static_cast<std::size_t>(size));
}

void ByteWriter::sized(std::string_view bytes) {
  CHECK(bytes.size() <= 0xffffffffu);
  u32(static_cast<std::uint32_t>(bytes.size()));
  raw(bytes);
}

std::string_view ByteReader::raw(std::size_t size) {
  if (!ok_ || size > in_.size()) {
    fail();
    return {};
  }
  const std::string_view out = in_.substr(0, size);
  in_.remove_prefix(size);
  return out;
}

std::uint64_t ByteReader::fixed(int size) {
  const std::string_view bytes = raw(static_cast<std::size_t>(size));
  if (bytes.size() == 8) return get_u64(bytes.data());
  if (bytes.size() == 4) return get_u32(bytes.data());
  std::uint64_t v = 0;
  for (std::size_t i = bytes.size(); i > 0; --i) {
    v = (v << 8) | static_cast<unsigned char>(bytes[i - 1]);
  }
  return v;
}

std::string to_hex(std::uint64_t value) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out(16, '0');
  for (std::size_t i = 16; i > 0; --i, value >>= 4) out[i - 1] = kDigits[value & 0xf];
  return out;
}

void put_u64(char* at, std::uint64_t value) {
  put(at, value, std::endian::little);
}

void put_u32(char* at, std::uint32_t value) {
  put(at, value, std::endian::little);
}

std::uint64_t get_u64(const char* at) {
  return get<std::uint64_t>(at, std::endian::little);
}

std::uint32_t get_u32(const char* at) {
  return get<std::uint32_t>(at, std::endian::little);
}

void put_u64_ordered(char* at, std::uint64_t value) {
  put(at, value, std::endian::big);
}

std::uint64_t get_u64_ordered(const char* at) {
  return get<std::uint64_t>(at, std::endian::big);
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
