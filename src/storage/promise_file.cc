#include "src/storage/promise_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "src/base/bytes.h"
#include "src/base/check.h"
#include "src/base/checksum.h"
#include "src/storage/status.h"

namespace raftkv::storage {
namespace {

constexpr std::size_t kChecksumSize = 8;
constexpr std::size_t kSizeAt = 8;
constexpr std::size_t kVersionAt = 12;
constexpr std::size_t kTextsAt = 96;
constexpr std::uint8_t kLostFlag = 1;

struct Slot {
  std::uint64_t generation = 0;
  Promise promise;
};

std::string file_name(const std::string& directory, int number) {
  return fmt::format("{}/promise.{}", directory, number);
}

void encode(const Slot& slot, std::string& out) {
  const Promise& promise = slot.promise;
  out.clear();
  ByteWriter writer(out);
  writer.u64(0);
  writer.u32(kPromiseSlotSize);
  writer.u8(kPromiseVersion);
  writer.u8(promise.lost ? kLostFlag : 0);
  writer.u16(0);
  writer.u64(slot.generation);
  writer.u64(promise.identity.cluster.value);
  writer.u64(promise.identity.member.value);
  writer.u64(promise.identity.instance.value);
  writer.u64(promise.identity.incarnation.value);
  writer.u64(promise.hard_state.current_term.value);
  writer.u64(promise.hard_state.voted_for.value);
  writer.u64(promise.through.index.value);
  writer.u64(promise.through.term.value);
  writer.u64(promise.through.sequence);
  CHECK(out.size() == kTextsAt);
  for (const std::string* text : {&promise.state_directory, &promise.names.name,
                                  &promise.names.http_address, &promise.names.raft_address}) {
    writer.sized(*text);
  }
  writer.u64(promise.begin_behind.index.value);
  writer.u64(promise.begin_behind.term.value);
  CHECK(out.size() <= kPromiseSlotSize);
  out.resize(kPromiseSlotSize, '\0');
  put_u64(out.data(), checksum64(std::string_view(out).substr(kChecksumSize)));
}

std::unexpected<Error> corrupt(std::string_view what) {
  return failure(ErrorCode::corrupt, fmt::format("promise file: {}", what));
}

// The fields behind the version, of a slot whose checksum is right.
Result<Slot> decode_fields(std::string_view bytes) {
  ByteReader reader(bytes.substr(kVersionAt + 1));
  Slot slot;
  Promise& promise = slot.promise;
  const std::uint8_t flags = reader.u8();
  const std::uint16_t zero = reader.u16();
  slot.generation = reader.u64();
  promise.lost = flags == kLostFlag;
  promise.identity.cluster = raft::ClusterId(reader.u64());
  promise.identity.member = raft::MemberId(reader.u64());
  promise.identity.instance = raft::InstanceId(reader.u64());
  promise.identity.incarnation = raft::Incarnation(reader.u64());
  promise.hard_state.current_term = raft::Term(reader.u64());
  promise.hard_state.voted_for = raft::MemberId(reader.u64());
  promise.through.index = raft::Index(reader.u64());
  promise.through.term = raft::Term(reader.u64());
  promise.through.sequence = reader.u64();
  for (std::string* text : {&promise.state_directory, &promise.names.name,
                            &promise.names.http_address, &promise.names.raft_address}) {
    *text = reader.sized();
  }
  promise.begin_behind.index = raft::Index(reader.u64());
  promise.begin_behind.term = raft::Term(reader.u64());
  const std::string_view rest = reader.raw(reader.left());
  const bool holds = reader.ok() && flags <= kLostFlag && zero == 0 && slot.generation > 0 &&
                     !promise.begin_behind.index == !promise.begin_behind.term &&
                     rest.find_first_not_of('\0') == std::string_view::npos;
  if (!holds) return corrupt("its fields do not hold");
  return slot;
}

Result<Slot> decode(std::string_view bytes) {
  if (bytes.size() != kPromiseSlotSize || get_u32(&bytes[kSizeAt]) != kPromiseSlotSize) {
    return corrupt("a slot is not whole");
  }
  if (get_u64(bytes.data()) != checksum64(bytes.substr(kChecksumSize))) {
    return corrupt("a slot has a bad checksum");
  }
  // From here on the bytes are as somebody wrote them.
  if (static_cast<std::uint8_t>(bytes[kVersionAt]) != kPromiseVersion) {
    return failure(ErrorCode::unsupported, "promise file: written by a newer version of raftkv");
  }
  return decode_fields(bytes);
}

// What one of the files holds.
struct Contents {
  std::optional<Slot> newest;
  bool whole = true;  // nothing stands there but slots
};

Result<Contents> decode_slots(std::string_view bytes) {
  Contents contents;
  contents.whole = !bytes.empty();  // else it was begun, and nothing written
  while (!bytes.empty()) {
    auto slot = decode(bytes.substr(0, kPromiseSlotSize));
    bytes.remove_prefix(std::min(bytes.size(), kPromiseSlotSize));
    if (!slot) {
      if (slot.error().code != ErrorCode::corrupt) return failure(slot);
      contents.whole = false;
      continue;
    }
    const bool ascends = !contents.newest || slot->generation > contents.newest->generation;
    if (!ascends) return corrupt("its slots contradict each other");
    contents.newest = std::move(*slot);
  }
  return contents;
}

bool only_raises_through(const Promise& before, Promise after) {
  if (after.through.index < before.through.index) return false;
  if (after.through.sequence < before.through.sequence) return false;
  after.through = before.through;
  return after == before;
}

// Nullopt: there is no such file.
Result<std::optional<Contents>> read_file(leveldb::Env& env, const std::string& name) {
  if (!env.FileExists(name)) return std::nullopt;
  std::string bytes;
  if (const auto status = leveldb::ReadFileToString(&env, name, &bytes); !status.ok()) {
    return failure_of(status, "promise file: cannot read");
  }
  auto contents = decode_slots(bytes);
  if (!contents) return failure(contents);
  return std::move(*contents);
}

}  // namespace

bool PromiseFile::exists(leveldb::Env& env, const std::string& directory) {
  return env.FileExists(file_name(directory, 0)) || env.FileExists(file_name(directory, 1));
}

Status PromiseFile::create(FailStopEnv& env, const std::string& directory, const Promise& promise) {
  CHECK(!exists(env, directory));
  std::string bytes;
  encode({.generation = 1, .promise = promise}, bytes);
  const std::string name = file_name(directory, 0);
  const std::string unfinished = name + ".tmp";
  if (Status written = write_synced(env, unfinished, bytes); !written) return written;
  if (const auto status = env.RenameFile(unfinished, name); !status.ok()) {
    return failure(ErrorCode::fatal, "promise file: " + status.ToString());
  }
  return {};
}

Result<PromiseFile> PromiseFile::open(FailStopEnv& env, std::string directory) {
  if (!exists(env, directory)) return failure(ErrorCode::not_found, "promise file: there is none");
  std::array<std::optional<Contents>, 2> files;
  for (int number = 0; number < 2; ++number) {
    auto contents = read_file(env, file_name(directory, number));
    if (!contents) return failure(contents);
    files[number] = std::move(*contents);
  }
  const auto generation = [&](int number) {
    return files[number] && files[number]->newest ? files[number]->newest->generation : 0;
  };
  const int newer = generation(1) > generation(0) ? 1 : 0;
  if (generation(newer) == 0) return corrupt("no slot is whole");
  if (generation(0) == generation(1) && files[0]->newest->promise != files[1]->newest->promise) {
    return corrupt("its slots contradict each other");
  }
  PromiseFile file(env, std::move(directory));
  file.number_ = newer;
  file.generation_ = generation(newer);
  file.promise_ = files[newer]->newest->promise;
  const auto whole = [](const auto& contents) { return contents && contents->whole; };
  // Before its first start a node has one file.
  file.was_torn_ = !whole(files[newer]) || (file.generation_ > 1 && !whole(files[1 - newer]));
  return file;
}

// One file is whole while the other one is begun. What others were told stands in both before it is
// reported; `through` alone may stand in one: where both the newest slot and a part of the log are
// gone, two places were damaged.
Status PromiseFile::save(const Promise& promise) {
  const bool in_both = !only_raises_through(promise_, promise) || must_begin(0) || must_begin(1);
  const int first = must_begin(number_) ? 1 - number_ : number_;
  encode({.generation = generation_ + 1, .promise = promise}, buffer_);
  if (Status saved = append_slot(first); !saved) return saved;
  ++generation_;
  number_ = first;
  if (in_both) {
    if (Status saved = append_slot(1 - first); !saved) return saved;
  }
  promise_ = promise;
  return {};
}

bool PromiseFile::must_begin(int number) const {
  return files_[number].file == nullptr || files_[number].slots == kPromiseSlotsMax;
}

Status PromiseFile::append_slot(int number) {
  if (must_begin(number)) {
    if (Status begun = begin(number); !begun) return begun;
  }
  File& into = files_[number];
  auto status = into.file->Append(buffer_);
  if (status.ok()) status = into.file->Sync();
  if (!status.ok()) return failure(ErrorCode::fatal, "promise file: " + status.ToString());
  ++into.slots;
  return {};
}

Status PromiseFile::begin(int number) {
  leveldb::WritableFile* opened = nullptr;
  const auto status = env_->NewWritableFile(file_name(directory_, number), &opened);
  if (!status.ok()) return failure(ErrorCode::fatal, "promise file: " + status.ToString());
  files_[number].file.reset(opened);
  files_[number].slots = 0;
  return {};
}

}  // namespace raftkv::storage
