#include "src/kv/command.h"

#include "src/base/bytes.h"
#include "src/base/check.h"

namespace raftkv::kv {
namespace {

enum class Kind : std::uint8_t { set = 1, delete_ = 2 };

constexpr std::size_t kHeaderSize = 4;
constexpr std::size_t kCountSize = 4;
constexpr std::size_t kSizeSize = 4;

bool legal_key(std::string_view key) {
  return !key.empty() && key.size() <= kKeySizeMax;
}

std::size_t encoded_size(std::string_view key, std::string_view value) {
  return 2 * kSizeSize + key.size() + value.size();
}

// The buffer of a command whose part behind the header takes `size` bytes.
std::string begin(Kind kind, std::size_t size) {
  std::string out;
  out.reserve(kCommandHeadroom + kHeaderSize + size);
  out.append(kCommandHeadroom, '\0');
  ByteWriter writer(out);
  writer.u8(kCommandVersion);
  writer.u8(static_cast<std::uint8_t>(kind));
  writer.u16(0);
  return out;
}

void write_pair(ByteWriter& writer, std::string_view key, std::string_view value) {
  CHECK(legal_key(key));
  writer.sized(key);
  writer.sized(value);
}

std::string encode(const Set& set) {
  CHECK(!set.pairs.empty());
  std::size_t size = kCountSize;
  for (const auto& [key, value] : set.pairs) size += encoded_size(key, value);
  std::string out = begin(Kind::set, size);
  ByteWriter writer(out);
  writer.u32(static_cast<std::uint32_t>(set.pairs.size()));
  for (const auto& [key, value] : set.pairs) write_pair(writer, key, value);
  return out;
}

std::string encode(const Delete& command) {
  CHECK(legal_key(command.key));
  std::string out = begin(Kind::delete_, kSizeSize + command.key.size());
  ByteWriter(out).sized(command.key);
  return out;
}

std::unexpected<Error> corrupt() {
  return failure(ErrorCode::corrupt, "command: its structure does not hold");
}

}  // namespace

class CommandDecoder {
 public:
  explicit CommandDecoder(std::string_view payload) : reader_(payload), payload_(payload) {}

  Result<CommandView> run() {
    const std::uint8_t version = reader_.u8();
    const std::uint8_t kind = reader_.u8();
    const std::uint16_t zero = reader_.u16();
    if (!reader_.ok()) return corrupt();
    if (version != kCommandVersion || zero != 0) return unknown();
    switch (static_cast<Kind>(kind)) {
      case Kind::set:
        return set();
      case Kind::delete_:
        return delete_key();
    }
    return unknown();
  }

 private:
  static std::unexpected<Error> unknown() {
    return failure(ErrorCode::unsupported,
                   "command: of a version or kind that this build does not know");
  }

  Result<CommandView> set() {
    const std::uint32_t count = reader_.u32();
    const std::string_view pairs = payload_.substr(payload_.size() - reader_.left());
    for (std::uint32_t i = 0; i < count && reader_.ok(); ++i) {
      const std::string_view key = reader_.sized();
      reader_.sized();
      if (!legal_key(key)) return corrupt();
    }
    if (!reader_.done() || count == 0) return corrupt();
    return SetView(count, pairs);
  }

  Result<CommandView> delete_key() {
    const std::string_view key = reader_.sized();
    if (!reader_.done() || !legal_key(key)) return corrupt();
    return DeleteView{key};
  }

  ByteReader reader_;
  std::string_view payload_;
};

void SetView::Iterator::read() {
  if (rest_.empty()) {
    pair_ = {};
    return;
  }
  ByteReader reader(rest_);
  pair_.first = reader.sized();
  pair_.second = reader.sized();
  CHECK(reader.ok());
  rest_ = rest_.substr(rest_.size() - reader.left());
}

std::string encode(const Command& command) {
  return std::visit([](const auto& c) { return encode(c); }, command);
}

std::string encode_set(std::string_view key, std::string_view value) {
  std::string out = begin(Kind::set, kCountSize + encoded_size(key, value));
  ByteWriter writer(out);
  writer.u32(1);
  write_pair(writer, key, value);
  return out;
}

Result<CommandView> decode(std::string_view payload) {
  return CommandDecoder(payload).run();
}

}  // namespace raftkv::kv
