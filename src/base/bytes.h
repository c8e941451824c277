// Bytes, field by field: what is written to disk or wire is written here, little-endian, and read
// back with every bound checked. Nothing is ever copied as a struct.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace raftkv {

// Writes or reads a number at a fixed place in a buffer that reaches so far. In the header: a frame
// has dozens of fields, and inline each costs an instruction or two.
template <typename Number>
void put_number(char* at, Number value, std::endian order = std::endian::little) {
  if (order != std::endian::native) value = std::byteswap(value);
  std::memcpy(at, &value, sizeof(value));
}

template <typename Number>
[[nodiscard]] Number get_number(const char* at, std::endian order = std::endian::little) {
  Number value = 0;
  std::memcpy(&value, at, sizeof(value));
  return order == std::endian::native ? value : std::byteswap(value);
}

inline void put_u64(char* at, std::uint64_t value) {
  put_number(at, value);
}
inline void put_u32(char* at, std::uint32_t value) {
  put_number(at, value);
}
[[nodiscard]] inline std::uint64_t get_u64(const char* at) {
  return get_number<std::uint64_t>(at);
}
[[nodiscard]] inline std::uint32_t get_u32(const char* at) {
  return get_number<std::uint32_t>(at);
}
// Big-endian, so that the order of the bytes is the order of the numbers.
inline void put_u64_ordered(char* at, std::uint64_t value) {
  put_number(at, value, std::endian::big);
}
[[nodiscard]] inline std::uint64_t get_u64_ordered(const char* at) {
  return get_number<std::uint64_t>(at, std::endian::big);
}

// A view of bytes that somebody keeps alive: a slice of a received frame, or an entry that disk,
// wire and state machine share. Copying shares; the bytes never change.
class SharedBytes {
 public:
  SharedBytes() = default;
  SharedBytes(std::shared_ptr<const void> owner, std::string_view bytes)
      : owner_(std::move(owner)), bytes_(bytes) {}

  // Takes the string over.
  [[nodiscard]] static SharedBytes from(std::string bytes);

  [[nodiscard]] std::string_view view() const { return bytes_; }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  // A part of these bytes with the same owner. `offset + length` must lie within.
  [[nodiscard]] SharedBytes slice(std::size_t offset, std::size_t length) const;

 private:
  std::shared_ptr<const void> owner_;
  std::string_view bytes_;
};

// Appends fields to a string that the caller owns and may reuse.
class ByteWriter {
 public:
  explicit ByteWriter(std::string& out) : out_(out) {}

  void u8(std::uint8_t v) { out_.push_back(static_cast<char>(v)); }
  void u16(std::uint16_t v) { fixed(v); }
  void u32(std::uint32_t v) { fixed(v); }
  void u64(std::uint64_t v) { fixed(v); }
  void raw(std::string_view bytes) { out_.append(bytes); }
  // A u32 length, then the bytes.
  void sized(std::string_view bytes);

 private:
  template <typename Number>
  void fixed(Number v) {
    const std::size_t at = out_.size();
    out_.resize_and_overwrite(at + sizeof(v), [at, v](char* bytes, std::size_t /*room*/) {
      put_number(bytes + at, v);
      return at + sizeof(v);
    });
  }
  std::string& out_;
};

// Reads fields; after the first that is not there whole, every read returns zero or empty and ok()
// is false. Check ok() (or done()) once at the end; sizes read from the outside never allocate
// before they are checked.
class ByteReader {
 public:
  explicit ByteReader(std::string_view in) : in_(in) {}

  std::uint8_t u8() { return fixed<std::uint8_t>(); }
  std::uint16_t u16() { return fixed<std::uint16_t>(); }
  std::uint32_t u32() { return fixed<std::uint32_t>(); }
  std::uint64_t u64() { return fixed<std::uint64_t>(); }
  std::string_view raw(std::size_t size) {
    if (!ok_ || size > in_.size()) {
      fail();
      return {};
    }
    const std::string_view out(in_.data(), size);
    in_.remove_prefix(size);
    return out;
  }
  std::string_view sized() { return raw(u32()); }

  [[nodiscard]] bool ok() const { return ok_; }
  // Everything was there and nothing is left over.
  [[nodiscard]] bool done() const { return ok_ && in_.empty(); }
  [[nodiscard]] std::size_t left() const { return in_.size(); }
  void fail() {
    ok_ = false;
    in_ = {};
  }

 private:
  template <typename Number>
  Number fixed() {
    const std::string_view bytes = raw(sizeof(Number));
    return bytes.empty() ? Number{0} : get_number<Number>(bytes.data());
  }
  std::string_view in_;
  bool ok_ = true;
};

// Lower-case hexadecimal, 16 digits: how ids, hashes and digests are shown to people.
[[nodiscard]] std::string to_hex(std::uint64_t value);

}  // namespace raftkv
