#include "sim/file_storage.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "sim/file_disk.h"
#include "src/base/check.h"
#include "src/base/checksum.h"
#include "src/storage/data_directory.h"

namespace raftkv::sim {
namespace {

using raft::Index;
using raft::Term;

constexpr std::size_t kReadBytes = 1 << 20;
constexpr std::string_view kPath = "/data";
constexpr std::size_t kPage = 4096;

bool is_log_wal(std::string_view path) {
  return path.starts_with("/data/log/") && path.ends_with(".log");
}

// The one at so many millionths of `count`.
std::size_t part_of(std::size_t count, std::uint64_t millionths) {
  constexpr std::uint64_t kMillion = 1'000'000;
  return count * std::min(millionths, kMillion - 1) / kMillion;
}

// The log with a witness.
class WitnessedLog final : public replica::LogStore {
 public:
  WitnessedLog(storage::LevelDbLogStore& log, DiskWitness& witness)
      : log_(log), witness_(witness) {}

  [[nodiscard]] Status append(std::span<const raft::LogWrite> writes) override {
    Status done = log_.append(writes);
    if (!done) {
      under_way_.assign(writes.begin(), writes.end());
      return done;
    }
    for (const raft::LogWrite& write : writes) tell(write);
    return done;
  }
  [[nodiscard]] Result<std::vector<raft::Entry>> read(Index from, Index to,
                                                      std::size_t bytes_max) override {
    return log_.read(from, to, bytes_max);
  }
  [[nodiscard]] Status checkpoint() override {
    Status done = log_.checkpoint();
    if (done) checkpointed_ = true;
    return done;
  }
  [[nodiscard]] Status promise_repaired() override {
    Status done = log_.promise_repaired();
    if (done) witness_.promise_repaired();
    return done;
  }
  [[nodiscard]] Status cut_before(Index first, Term prev_term) override {
    const bool moves = first > log_.first();
    Status done = log_.cut_before(first, prev_term);
    if (done && moves) witness_.durable_cut(first);
    return done;
  }
  [[nodiscard]] Status prepare_cut() override { return log_.prepare_cut(); }
  [[nodiscard]] Status free_cut() override { return log_.free_cut(); }

  // A checkpoint was made since the last call.
  [[nodiscard]] bool take_checkpointed() { return std::exchange(checkpointed_, false); }
  // What was being written when an append failed.
  [[nodiscard]] std::vector<raft::LogWrite> take_under_way() { return std::move(under_way_); }

 private:
  void tell(const raft::LogWrite& write) {
    if (write.hard_state) witness_.durable_hard_state(*write.hard_state);
    if (write.snapshot) {
      witness_.durable_installed(write.snapshot->last_included_index,
                                 write.snapshot->last_included_term);
      witness_.durable_cut(write.snapshot->last_included_index.next());
    }
    if (write.truncate_from) witness_.durable_truncated(*write.truncate_from);
    for (const raft::Entry& entry : write.entries) witness_.durable_appended(entry);
  }

  storage::LevelDbLogStore& log_;
  DiskWitness& witness_;
  std::vector<raft::LogWrite> under_way_;
  bool checkpointed_ = false;
};

// The state with a witness.
class WitnessedState final : public kv::ReplaceableStore {
 public:
  WitnessedState(kv::ReplaceableStore& store, DiskWitness& witness)
      : store_(store), witness_(witness) {}

  [[nodiscard]] Result<std::optional<std::string>> get(std::string_view key) override {
    return store_.get(key);
  }
  [[nodiscard]] Status write(const kv::Batch& batch) override { return store_.write(batch); }
  [[nodiscard]] Status sync() override {
    if (Status done = store_.sync(); !done) return done;
    // What was applied before it is durable now: the state's own record says what that is.
    std::string key;
    kv::stored_key(kv::kMetaSpace, {}, key);
    const auto record = store_.get(key);
    if (!record) return failure(record);
    if (!*record) return {};
    const auto stored = kv::parse_stored_value(**record);
    if (!stored) return failure(stored);
    witness_.durable_state(Index(stored->index));
    return {};
  }
  [[nodiscard]] std::unique_ptr<kv::View> view() override { return store_.view(); }
  [[nodiscard]] Result<kv::OrderedStore*> begin_incoming() override {
    return store_.begin_incoming();
  }
  [[nodiscard]] Status discard_incoming() override { return store_.discard_incoming(); }
  [[nodiscard]] Status adopt_incoming() override { return store_.adopt_incoming(); }

 private:
  kv::ReplaceableStore& store_;
  DiskWitness& witness_;
};

class FileStorage final : public NodeStorage {
 public:
  FileStorage(DiskWitness& witness, storage::NodeNames names, Prng prng, bool syncs_lie)
      : witness_(witness), names_(std::move(names)), prng_(prng) {
    if (syncs_lie) disk_.lie_about_syncs();
  }
  ~FileStorage() override { close(); }

  void found(const raft::Identity& identity, const std::vector<raft::Entry>& entries) override {
    CHECK(begin_join(identity.instance).has_value());
    CHECK(finish_join(identity.cluster, identity.member).has_value());
    const auto opened = open();
    CHECK(opened.has_value());
    raft::LogWrite write;
    write.id = raft::WriteId(1);
    write.hard_state = raft::HardState{entries.back().term(), raft::MemberId()};
    write.entries = entries;
    CHECK(opened->log->append({&write, 1}).has_value());
    crash(Crash::process, prng_);
  }

  [[nodiscard]] Result<raft::InstanceId> begin_join(raft::InstanceId fresh) override {
    if (Status taken = take(); !taken) return failure(taken);
    return directory_->begin_join(fresh);
  }
  [[nodiscard]] Status finish_join(raft::ClusterId cluster, raft::MemberId member) override {
    Status done = directory_->finish_join(cluster, member, names_);
    do_background_work();
    return done;
  }
  [[nodiscard]] bool holds_node() override {
    // Who cannot tell is told by open().
    return !take() || directory_->stage() == storage::DataDirectory::Stage::node;
  }

  [[nodiscard]] Result<Opened> open() override;
  [[nodiscard]] bool in_use() const override { return directory_ != nullptr; }
  void job_ran() override {
    if (log_->take_checkpointed()) note_checkpoint();
    do_background_work();
  }
  [[nodiscard]] const kv::MemoryStore::Contents* contents() override;

  void freeze_after(std::uint64_t operations) override { disk_.freeze_after(operations); }
  void thaw() override { disk_.thaw(); }
  [[nodiscard]] bool frozen() const override { return disk_.frozen(); }
  [[nodiscard]] bool strikes_every_job() const override { return true; }
  [[nodiscard]] std::uint64_t operations_of_a_job() const override { return 8; }
  void crash(Crash kind, Prng& prng) override {
    close();
    disk_.crash(kind, prng);
    apply_fault();
  }
  void wipe() override {
    close();
    disk_.wipe();
    under_way_.clear();
    promised_.clear();
    rotten_.clear();
    apply_fault();
  }
  void set_fault(Fault fault, std::uint64_t room) override {
    const bool was = was_faulty_;
    fault_ = fault;
    room_ = disk_.used() + room;
    apply_fault();
    was_faulty_ = was_faulty_ || was;  // what met it may still be on its way
  }
  [[nodiscard]] bool faulty() const override { return was_faulty_; }
  void lose_state() override;
  bool rot(const Action& how) override;
  [[nodiscard]] std::uint64_t trace() const override { return disk_.trace(); }

 private:
  [[nodiscard]] Status take();
  [[nodiscard]] Status compare();
  void close();
  void apply_fault();
  // How long the log's write-ahead logs are, all of which the promise file knows about now.
  void note_checkpoint();
  // How many bytes of a file may be damaged this way within the fault model.
  [[nodiscard]] std::size_t exposed(const std::string& path, Verb how) const;
  // At moments of its own choice: some of it, all, or nothing.
  void do_background_work();

  DiskWitness& witness_;
  storage::NodeNames names_;
  Prng prng_;
  FileDisk disk_;
  std::vector<raft::LogWrite> under_way_;  // when the last process died
  std::unique_ptr<storage::DataDirectory> directory_;
  std::optional<storage::OpenedNode> node_;
  std::unique_ptr<WitnessedLog> log_;
  std::unique_ptr<WitnessedState> states_;
  std::unique_ptr<replica::StateStore> state_store_;
  kv::MemoryStore::Contents contents_;
  Fault fault_ = Fault::none;
  bool was_faulty_ = false;  // since the last crash
  std::uint64_t room_ = 0;
  std::map<std::string, std::uint64_t> rotten_;  // damaged files: checksums of what is there now
  std::map<std::string, std::size_t> promised_;  // of the log's write-ahead logs, so many bytes
};

Status FileStorage::take() {
  if (directory_ != nullptr) return {};
  auto taken = storage::DataDirectory::take(disk_, std::string(kPath), /*make=*/true);
  if (!taken) return failure(taken);
  directory_ = std::move(*taken);
  return {};
}

// As production's main does it.
Result<NodeStorage::Opened> FileStorage::open() {
  if (Status taken = take(); !taken) return failure(taken);
  auto node = directory_->open(/*refuse_hopeless=*/true);
  if (!node) return failure(node);
  node_.emplace(std::move(*node));
  log_ = std::make_unique<WitnessedLog>(*node_->log_store, witness_);
  states_ = std::make_unique<WitnessedState>(*node_->states, witness_);
  state_store_ = std::make_unique<replica::StateStore>(*states_);
  const auto meta = state_store_->load();
  if (!meta) return failure(meta);
  if (Status compared = compare(); !compared) return failure(compared);
  promised_.clear();
  do_background_work();
  return Opened{.identity = node_->identity,
                .recovered = std::move(node_->recovered),
                .meta = *meta,
                .log = log_.get(),
                .state = state_store_.get()};
}

// Says what is there to the witness, who knows what must be.
Status FileStorage::compare() {
  FoundOnDisk found;
  found.hard_state = node_->recovered.hard_state;
  found.promise_lost = node_->recovered.promise_lost;
  found.loss = node_->loss;
  found.first = node_->log_store->first();
  found.last = node_->log_store->last();
  std::erase_if(rotten_, [&](const auto& file) {
    return !disk_.FileExists(file.first) || checksum64(disk_.contents(file.first)) != file.second;
  });
  found.damage_left = !rotten_.empty();
  for (Index from = found.first; from <= found.last;) {
    auto entries = node_->log_store->read(from, found.last, kReadBytes);
    if (!entries && entries.error().code == ErrorCode::corrupt) {
      found.unreadable = true;
      found.entries.clear();
      break;
    }
    if (!entries) return failure(entries);
    from = entries->back().index().next();
    for (raft::Entry& entry : *entries) found.entries.push_back(std::move(entry));
  }
  witness_.found(found, std::exchange(under_way_, {}));
  return {};
}

void FileStorage::apply_fault() {
  was_faulty_ = fault_ != Fault::none;
  disk_.fail_syncs(fault_ == Fault::syncs);
  disk_.fail_reads(fault_ == Fault::reads);
  disk_.set_capacity(fault_ == Fault::full ? room_ : FileDisk::kUnlimited);
}

// --- damage at rest ---

void FileStorage::note_checkpoint() {
  for (const std::string& path : disk_.files()) {
    if (is_log_wal(path)) promised_[path] = disk_.last_synced(path).to;
  }
}

// What a damaged write-ahead log has lost shows if the promise file knows of it, or if something
// stands behind it: a later write in the same file, where that stays, or in a later one.
std::size_t FileStorage::exposed(const std::string& path, Verb how) const {
  const std::size_t size = disk_.contents(path).size();
  if (!is_log_wal(path)) return size;
  const auto known = promised_.find(path);
  std::size_t exposed = known == promised_.end() ? 0 : known->second;
  const FileDisk::Range last = disk_.last_synced(path);
  if (how == Verb::flip || how == Verb::zero) exposed = std::max(exposed, last.from);
  const bool passed = std::ranges::any_of(disk_.files(), [&](const std::string& other) {
    return is_log_wal(other) && other > path && disk_.last_synced(other).to > 0;
  });
  if (passed) exposed = std::max(exposed, last.to);
  return std::min(size, exposed);
}

bool FileStorage::rot(const Action& how) {
  CHECK(!in_use());
  std::vector<std::string> files;
  for (std::string& path : disk_.files()) {
    if (!path.ends_with("/LOCK") && exposed(path, how.verb) > 0) files.push_back(std::move(path));
  }
  if (files.empty()) return false;
  const std::string& path = files[part_of(files.size(), how.count)];
  std::string bytes = disk_.contents(path);
  const std::size_t place = part_of(exposed(path, how.verb), how.count2);
  switch (how.verb) {
    case Verb::flip:
      bytes[place] = static_cast<char>(bytes[place] ^ static_cast<char>(1 << (place % 8)));
      break;
    case Verb::zero: {
      const std::size_t begin = place / kPage * kPage;
      const std::size_t end = std::min(exposed(path, how.verb), begin + kPage);
      std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(begin),
                bytes.begin() + static_cast<std::ptrdiff_t>(end), '\0');
      break;
    }
    case Verb::chop:
      bytes.resize(place);
      break;
    default:
      return disk_.remove(path);
  }
  rotten_[path] = checksum64(bytes);
  disk_.set_contents(path, std::move(bytes));
  return true;
}

// It is the simulator that looks, not the node: reads that fail are none of its business.
const kv::MemoryStore::Contents* FileStorage::contents() {
  contents_.clear();
  disk_.fail_reads(false);
  const auto view = states_->view();
  for (; view->valid(); view->next()) {
    contents_.emplace_hint(contents_.end(), view->key(), view->value());
  }
  disk_.fail_reads(fault_ == Fault::reads);
  return view->status() ? &contents_ : nullptr;
}

void FileStorage::do_background_work() {
  if (disk_.background_work() == 0) return;
  switch (prng_.below(4)) {
    case 0:
      return disk_.run_background_work();
    case 1:
      return disk_.run_some_background_work();
    default:
      return;
  }
}

// The image of the disk is fixed first: what is destroyed changes nothing any more.
void FileStorage::close() {
  disk_.freeze_after(0);
  state_store_.reset();
  states_.reset();
  if (log_ != nullptr) {
    auto under_way = log_->take_under_way();
    if (!under_way.empty()) under_way_ = std::move(under_way);
    log_.reset();
  }
  node_.reset();
  directory_.reset();
  disk_.run_background_work();
}

// A damaged CURRENT: the database cannot be opened.
void FileStorage::lose_state() {
  for (const std::string& path : disk_.files()) {
    if (path.find("/state-") != std::string::npos && path.ends_with("/CURRENT")) {
      disk_.set_contents(path, {});
    }
  }
}

}  // namespace

std::unique_ptr<NodeStorage> make_file_storage(DiskWitness& witness, storage::NodeNames names,
                                               Prng prng, bool syncs_lie) {
  return std::make_unique<FileStorage>(witness, std::move(names), prng, syncs_lie);
}

}  // namespace raftkv::sim
