// LevelDB's record format, read strictly. Its own reader (db/log_reader.cc in 1.23) skips a block
// that it cannot read and goes on behind it; this one stops at the first break and says why.
//
//   file     := block*                        of 32,768 bytes; the last one may be shorter
//   block    := physical* trailer             trailer: less than 7 bytes, no meaning
//   physical := crc:u32 size:u16 type:u8 data{size}       little-endian
//   type     := 1 full | 2 first | 3 middle | 4 last      a record is a full, or first middle* last
//
// crc is CRC-32C of type and data, masked: rotated right by 15 bits, plus 0xa282ead8. Seven zero
// bytes where a header should stand are an end. Source: LevelDB's doc/log_format.md and
// db/log_format.h.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace raftkv::storage {

inline constexpr std::size_t kLogBlockSize = 32'768;
inline constexpr std::size_t kLogHeaderSize = 7;

class LogFormatReader {
 public:
  // `bytes` is a whole file and must outlive this.
  explicit LogFormatReader(std::string_view bytes) : bytes_(bytes) {}

  // The next record, whole. False at the end of the file, and for ever after the first break.
  [[nodiscard]] bool next(std::string& record);
  // Where the last whole record ends. What follows is no record.
  [[nodiscard]] std::uint64_t whole() const { return whole_; }
  // Why there is no record behind whole(); empty while there is one, and where the file just ends.
  [[nodiscard]] std::string_view broken() const { return broken_; }

 private:
  std::string_view bytes_;
  std::uint64_t whole_ = 0;
  std::string_view broken_;
};

// Does a physical record that begins a record, and whose checksum holds, stand anywhere behind the
// place where the one at `from` begins, with data that `is_one` takes? Looks at every byte: what is
// damaged there may be the sizes. `is_one` sees the data before the checksum is tried, so it should
// refuse most of what is no record.
[[nodiscard]] bool record_begins_behind(std::string_view bytes, std::uint64_t from,
                                        const std::function<bool(std::string_view data)>& is_one);

}  // namespace raftkv::storage
