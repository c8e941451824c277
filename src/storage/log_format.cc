#include "src/storage/log_format.h"

#include <algorithm>

#include "src/base/bytes.h"
#include "src/base/checksum.h"

namespace raftkv::storage {
namespace {

enum Type : std::uint8_t { kZero = 0, kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4 };

// Of one physical record.
struct Physical {
  std::uint8_t type = kZero;
  std::string_view data;
  std::uint64_t end = 0;     // behind it
  std::string_view trouble;  // why it is none; empty: it is one
};

std::uint32_t unmask(std::uint32_t masked) {
  const std::uint32_t rotated = masked - 0xa282ead8u;
  return (rotated >> 17) | (rotated << 15);
}

std::uint64_t left_in_block(std::uint64_t at) {
  return kLogBlockSize - at % kLogBlockSize;
}

constexpr std::uint64_t kTypeAt = 6;  // in a header

// Where the next header can stand.
std::uint64_t behind_trailer(std::uint64_t at) {
  return left_in_block(at) < kLogHeaderSize ? at + left_in_block(at) : at;
}

// The next place that can be a header with a type: what was zeroed ahead has none, and is long.
std::uint64_t behind_zeros(std::string_view bytes, std::uint64_t at) {
  while (at + kTypeAt + 8 <= bytes.size() && get_u64(bytes.data() + at + kTypeAt) == 0) at += 8;
  return behind_trailer(at);
}

Physical trouble(std::string_view why) {
  return {.type = kZero, .data = {}, .end = 0, .trouble = why};
}

// `bytes` from `at` on must hold a header.
Physical frame_at(std::string_view bytes, std::uint64_t at) {
  const char* header = bytes.data() + at;
  const std::size_t size = static_cast<unsigned char>(header[4]) |
                           (static_cast<std::size_t>(static_cast<unsigned char>(header[5])) << 8);
  Physical physical;
  physical.type = static_cast<std::uint8_t>(header[6]);
  if (kLogHeaderSize + size > left_in_block(at)) return trouble("a size that no block holds");
  physical.end = at + kLogHeaderSize + size;
  if (physical.end > bytes.size()) return trouble("the file ends within a record");
  physical.data = bytes.substr(at + kLogHeaderSize, size);
  return physical;
}

bool checksum_holds(std::string_view bytes, std::uint64_t at, const Physical& physical) {
  const std::string_view covered = bytes.substr(at + 6, 1 + physical.data.size());
  return unmask(get_u32(bytes.data() + at)) == crc32c(covered);
}

Physical physical_at(std::string_view bytes, std::uint64_t at) {
  if (bytes.size() - at < kLogHeaderSize) return trouble("the file ends within a header");
  const std::string_view header = bytes.substr(at, kLogHeaderSize);
  if (header.find_first_not_of('\0') == std::string_view::npos) return trouble("a zero header");
  Physical physical = frame_at(bytes, at);
  if (!physical.trouble.empty()) return physical;
  if (!checksum_holds(bytes, at, physical)) return trouble("a bad checksum");
  if (physical.type < kFull || physical.type > kLast) return trouble("a record of no known type");
  return physical;
}

}  // namespace

bool LogFormatReader::next(std::string& record) {
  record.clear();
  if (!broken_.empty()) return false;
  bool begun = false;
  for (std::uint64_t at = behind_trailer(whole_); at < bytes_.size();) {
    const Physical physical = physical_at(bytes_, at);
    broken_ = physical.trouble;
    const bool begins = physical.type == kFull || physical.type == kFirst;
    if (broken_.empty() && begins == begun) broken_ = "its parts are out of order";
    if (!broken_.empty()) return false;
    begun = true;
    record.append(physical.data);
    if (physical.type == kFull || physical.type == kLast) {
      whole_ = physical.end;
      return true;
    }
    at = behind_trailer(physical.end);
  }
  if (begun) broken_ = "the file ends within a record";
  return false;
}

bool record_begins_behind(std::string_view bytes, std::uint64_t from,
                          const std::function<bool(std::string_view data)>& is_one) {
  for (std::uint64_t at = behind_zeros(bytes, behind_trailer(from) + 1);
       at + kLogHeaderSize <= bytes.size(); at = behind_zeros(bytes, at + 1)) {
    const auto type = static_cast<std::uint8_t>(bytes[at + kTypeAt]);
    if (type != kFull && type != kFirst) continue;
    const Physical physical = frame_at(bytes, at);
    if (physical.trouble.empty() && is_one(physical.data) && checksum_holds(bytes, at, physical)) {
      return true;
    }
  }
  return false;
}

}  // namespace raftkv::storage
