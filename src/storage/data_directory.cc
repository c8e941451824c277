#include "src/storage/data_directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "src/base/bytes.h"
#include "src/base/check.h"
#include "src/base/checksum.h"
#include "src/storage/log_recovery.h"
#include "src/storage/recovery.h"
#include "src/storage/status.h"

namespace raftkv::storage {
namespace {

constexpr std::string_view kLog = "log";
constexpr std::string_view kDamagedLog = "log.damaged";
constexpr std::string_view kInstance = "instance";
constexpr std::uint8_t kInstanceVersion = 1;
constexpr std::size_t kApplyBytes = 4u << 20;  // in one batch
constexpr std::string_view kAdvice =
    "see that this user may read and write there and that the disk has room, or choose another "
    "directory with --data";

bool is_database(std::string_view name) {
  return name == kLog || name.starts_with("state-");
}

bool is_ours(std::string_view name) {
  return is_database(name) || name == kDamagedLog || name.starts_with("LOCK") ||
         name.starts_with(kInstance) || name.starts_with("promise.");
}

bool is_nobodys(std::string_view name) {
  return name == "." || name == ".." || name == "lost+found";
}

// "instance", little-endian: u64 checksum (XXH3-64 of what follows), u8 version (1), u64 instance.
std::string encode_instance(raft::InstanceId instance) {
  std::string out;
  ByteWriter writer(out);
  writer.u64(0);
  writer.u8(kInstanceVersion);
  writer.u64(instance.value);
  put_u64(out.data(), checksum64(std::string_view(out).substr(8)));
  return out;
}

Result<raft::InstanceId> decode_instance(std::string_view bytes) {
  ByteReader reader(bytes);
  const std::uint64_t checksum = reader.u64();
  const std::uint8_t version = reader.u8();
  const raft::InstanceId instance(reader.u64());
  if (!reader.done() || checksum != checksum64(bytes.substr(8)) || !instance) {
    return failure(ErrorCode::corrupt, "instance file: its checksum is bad");
  }
  if (version != kInstanceVersion) {
    return failure(ErrorCode::unsupported, "instance file: written by a newer version of raftkv");
  }
  return instance;
}

Status check(const NodeNames& names) {
  for (const std::string* text : {&names.name, &names.http_address, &names.raft_address}) {
    if (text->empty() || text->size() > raft::kMemberTextMax) {
      return failure(
          ErrorCode::invalid,
          fmt::format("the node's name and addresses must have 1 to {} bytes, '{}' has {}",
                      raft::kMemberTextMax, text->substr(0, 40), text->size()));
    }
  }
  return {};
}

// The configuration of a cluster of this one node, as the entry at `index`.
raft::Entry first_configuration(raft::InstanceId instance, const NodeNames& names,
                                raft::Index index, raft::Term term) {
  std::string payload;
  raft::bootstrap_configuration(names.name, instance, names.http_address, names.raft_address,
                                raft::MemberId(index.value))
      .encode(payload);
  return raft::Entry::seal(raft::EntryDraft::copy_of(raft::EntryKind::configuration, payload), term,
                           index);
}

// The promise of a node that this entry has made a member, and that has no other behind it.
void stand_at(const raft::Entry& entry, Promise& promise) {
  promise.identity.member = raft::MemberId(entry.index().value);
  promise.hard_state.current_term = entry.term();
  promise.through = {.index = entry.index(), .term = entry.term(), .sequence = 0};
}

Status copy_state(const Seed& seed, kv::OrderedStore& store) {
  if (!seed.next) return {};
  replica::SnapshotWriter writer(store);
  for (;;) {
    const auto chunk = seed.next();
    if (!chunk) return failure(chunk);
    if (Status added = writer.add(chunk->data); !added) return added;
    if (!chunk->last) continue;
    const auto whole = writer.complete(chunk->contents_digest);
    return whole ? Status() : Status(failure(whole));
  }
}

Status apply_tail(std::span<const raft::Entry> tail, replica::StateStore& store) {
  if (const auto loaded = store.load(); !loaded) return failure(loaded);
  while (!tail.empty()) {
    std::size_t count = 0;
    for (std::size_t bytes = 0; count < tail.size() && bytes < kApplyBytes; ++count) {
      bytes += tail[count].bytes().size();
    }
    if (const auto applied = store.apply(tail.first(count)); !applied) return failure(applied);
    tail = tail.subspan(count);
  }
  return {};
}

// Makes the directory and what is missing above it.
leveldb::Status make_directories(FailStopEnv& env, const std::string& path) {
  if (env.FileExists(path)) return leveldb::Status::OK();
  const std::string parent = directory_of(path);
  if (parent != path) {
    if (const auto status = make_directories(env, parent); !status.ok()) return status;
  }
  return env.CreateDir(path);
}

std::string without_trailing_slashes(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

}  // namespace

DataDirectory::DataDirectory(Disk& disk, std::string path)
    : disk_(disk),
      path_(without_trailing_slashes(std::move(path))),
      env_(disk, flag_),
      log_env_(disk, flag_, WalUse::syncs_always) {}

DataDirectory::~DataDirectory() {
  if (lock_ != nullptr) (void)disk_.UnlockFile(lock_);  // the process may end without it as well
}

std::string DataDirectory::at(std::string_view name) const {
  return fmt::format("{}/{}", path_, name);
}

Result<std::unique_ptr<DataDirectory>> DataDirectory::take(Disk& disk, std::string path,
                                                           bool make) {
  std::unique_ptr<DataDirectory> directory(new DataDirectory(disk, std::move(path)));
  if (Status there = directory->be_there(make); !there) return failure(there);
  if (Status ours = directory->find_stage(); !ours) return failure(ours);
  if (Status locked = directory->lock(); !locked) return failure(locked);
  // Now that nobody else changes it.
  if (Status ours = directory->find_stage(); !ours) return failure(ours);
  return directory;
}

Status DataDirectory::be_there(bool make) {
  if (disk_.FileExists(path_)) return {};
  if (!make) {
    return failure(
        ErrorCode::not_found,
        fmt::format("there is no data directory {0}: make a new cluster with 'raftkv init "
                    "--data {0} --id NAME', or join one with 'raftkv serve --data {0} "
                    "--id NAME --join HOST:PORT'",
                    path_));
  }
  if (const auto made = make_directories(env_, path_); !made.ok()) return unusable(made);
  return {};
}

Status DataDirectory::settle() {
  if (const auto synced = disk_.sync_directory(path_); !synced.ok()) return unusable(synced);
  for (std::string above = path_; directory_of(above) != above;) {
    above = directory_of(above);
    std::vector<std::string> names;
    if (!disk_.GetChildren(above, &names).ok()) continue;  // who may not list it has not made it
    if (const auto synced = disk_.sync_directory(above); !synced.ok()) return unusable(synced);
  }
  return {};
}

Status DataDirectory::lock() {
  const auto locked = disk_.LockFile(at("LOCK"), &lock_);
  if (locked.ok()) return {};
  // LevelDB tells "held by another" from "not writable" only in words: who may write another file
  // here met a lock.
  leveldb::WritableFile* probe = nullptr;
  const std::string probe_name = at("LOCK.probe");
  if (const auto written = disk_.NewWritableFile(probe_name, &probe); !written.ok()) {
    return unusable(written);
  }
  delete probe;
  (void)disk_.RemoveFile(probe_name);
  return failure(ErrorCode::unavailable,
                 fmt::format("{} is in use by another raftkv process: stop that one first, or give "
                             "this node a directory of its own with --data",
                             path_));
}

std::unexpected<Error> DataDirectory::unusable(const leveldb::Status& status) const {
  return failure(ErrorCode::fatal,
                 fmt::format("{} cannot be used ({}): {}", path_, status.ToString(), kAdvice));
}

Status DataDirectory::find_stage() {
  std::vector<std::string> names;
  if (const auto status = disk_.GetChildren(path_, &names); !status.ok()) return unusable(status);
  const auto foreign = std::ranges::find_if(
      names, [](const std::string& name) { return !is_ours(name) && !is_nobodys(name); });
  const bool has_database = std::ranges::any_of(names, is_database);
  if (PromiseFile::exists(disk_, path_)) {
    stage_ = Stage::node;
  } else if (foreign != names.end()) {
    return failure(ErrorCode::invalid,
                   fmt::format("{} holds other files ({}): choose an empty directory with --data",
                               path_, *foreign));
  } else if (disk_.FileExists(at(kInstance))) {
    stage_ = Stage::joining;
  } else {
    stage_ = has_database ? Stage::unfinished : Stage::empty;
  }
  return {};
}

Status DataDirectory::create_cluster(raft::ClusterId cluster, raft::InstanceId instance,
                                     const NodeNames& names) {
  CHECK(cluster);
  CHECK(instance);
  if (Status may = may_create_cluster(names); !may) return may;
  const raft::Entry entry = first_configuration(instance, names, raft::Index(1), raft::Term(1));
  Promise promise;
  promise.identity = {.cluster = cluster, .member = {}, .instance = instance, .incarnation = {}};
  promise.names = names;
  stand_at(entry, promise);
  return create_node(std::move(promise), {&entry, 1});
}

Result<replica::StateMeta> DataDirectory::create_cluster_from(raft::ClusterId cluster,
                                                              raft::InstanceId instance,
                                                              const NodeNames& names,
                                                              const Seed& seed) {
  CHECK(cluster);
  CHECK(instance);
  if (Status may = may_create_cluster(names); !may) return failure(may);
  replica::StateMeta meta;
  const auto fill = [&](StateDirectories& states, Promise& promise) -> Status {
    if (Status copied = copy_state(seed, states); !copied) return copied;
    replica::StateStore store(states);
    if (Status applied = apply_tail(seed.tail, store); !applied) return applied;
    const auto before = store.load();
    if (!before) return failure(before);
    // As if this cluster had always been there and its configuration were its latest entry: every
    // rule about indexes and terms holds without knowing of backups.
    const raft::Term term(std::max(before->applied_term, seed.term).value + 1);
    const raft::Entry entry = first_configuration(instance, names, before->applied.next(), term);
    auto last = store.apply({&entry, 1});
    if (!last) return failure(last);
    meta = std::move(last->meta);
    stand_at(entry, promise);
    promise.begin_behind = {.index = entry.index(), .term = term};  // the first start does it
    return store.sync();
  };
  Promise promise;
  promise.identity = {.cluster = cluster, .member = {}, .instance = instance, .incarnation = {}};
  promise.names = names;
  if (Status made = create_node(std::move(promise), {}, fill); !made) return failure(made);
  return meta;
}

Status DataDirectory::may_create_cluster(const NodeNames& names) const {
  if (Status legal = check(names); !legal) return legal;
  if (stage_ != Stage::joining) return refuse_node();
  return failure(ErrorCode::invalid,
                 fmt::format("{} has begun to join a cluster and may be a member of it: finish "
                             "with 'raftkv serve --join', or choose another directory",
                             path_));
}

Result<raft::InstanceId> DataDirectory::begin_join(raft::InstanceId fresh) {
  CHECK(fresh);
  if (Status free = refuse_node(); !free) return failure(free);
  if (Status settled = settle(); !settled) return failure(settled);
  const std::string name = at(kInstance);
  if (stage_ == Stage::joining) {
    std::string bytes;
    if (const auto status = leveldb::ReadFileToString(&disk_, name, &bytes); !status.ok()) {
      return unusable(status);
    }
    return explained(decode_instance(bytes));
  }
  const std::string unfinished = name + ".tmp";
  if (Status written = write_synced(env_, unfinished, encode_instance(fresh)); !written) {
    return failure(written);
  }
  if (const auto status = env_.RenameFile(unfinished, name); !status.ok()) return unusable(status);
  stage_ = Stage::joining;
  return fresh;
}

Status DataDirectory::finish_join(raft::ClusterId cluster, raft::MemberId member,
                                  const NodeNames& names) {
  CHECK(stage_ == Stage::joining);
  CHECK(cluster);
  CHECK(member);
  if (Status legal = check(names); !legal) return legal;
  const auto instance = begin_join(raft::InstanceId(1));  // gives the one that was made
  if (!instance) return failure(instance);
  Promise promise;
  promise.identity = {
      .cluster = cluster, .member = member, .instance = *instance, .incarnation = {}};
  promise.names = names;
  return create_node(std::move(promise), {});
}

Status DataDirectory::refuse_node() const {
  if (stage_ != Stage::node) return {};
  return failure(
      ErrorCode::invalid,
      fmt::format("{0} already holds a node: start it with 'raftkv serve --data {0}', or "
                  "choose another directory",
                  path_));
}

Status DataDirectory::create_node(Promise promise, std::span<const raft::Entry> log,
                                  const Fill& fill) {
  if (Status settled = settle(); !settled) return settled;
  if (Status cleared = clear(); !cleared) return cleared;
  stage_ = stage_ == Stage::joining ? Stage::joining : Stage::unfinished;
  promise.state_directory = kFirstStateDirectory;
  if (Status made = LevelDbLogStore::create(log_env_, at(kLog), log); !made) {
    return explained(made);
  }
  {
    auto made = StateDirectories::create(disk_, flag_, path_, promise.state_directory);
    if (!made) return explained(Status(failure(made)));
    if (Status filled = fill ? fill(**made, promise) : Status(); !filled) {
      return flag_.tripped() ? explained(flag_.check()) : filled;
    }
  }
  promise.through.sequence = log_env_.synced_sequence();
  if (Status made = PromiseFile::create(env_, path_, promise); !made) return explained(made);
  stage_ = Stage::node;
  return forget_join();
}

// Before the node promises anything. Who later loses both copies of its promise must not be taken
// for one that is still joining: it would be the same member again, and have forgotten its vote.
Status DataDirectory::forget_join() {
  if (!disk_.FileExists(at(kInstance))) return {};
  if (const auto status = env_.RemoveFile(at(kInstance)); !status.ok()) return unusable(status);
  if (const auto synced = disk_.sync_directory(path_); !synced.ok()) return unusable(synced);
  return {};
}

Status DataDirectory::clear() {
  std::vector<std::string> names;
  if (const auto status = disk_.GetChildren(path_, &names); !status.ok()) return unusable(status);
  for (const std::string& name : names) {
    if (!is_database(name)) continue;
    if (const auto status = remove_database(env_, at(name)); !status.ok()) return unusable(status);
  }
  return {};
}

Result<OpenedNode> DataDirectory::open(bool refuse_hopeless) {
  switch (stage_) {
    case Stage::empty:
      return failure(
          ErrorCode::not_found,
          fmt::format("{0} is empty: make a new cluster with 'raftkv init --data {0} --id "
                      "NAME', or join one with 'raftkv serve --data {0} --id NAME --join "
                      "HOST:PORT'",
                      path_));
    case Stage::unfinished:
      return failure(
          ErrorCode::not_found,
          fmt::format(
              "{0} was never finished: run 'raftkv init --data {0} --id NAME' again (or 'raftkv "
              "restore' or 'raftkv recover', if that was to make it), or join a cluster "
              "with 'raftkv serve --data {0} --id NAME --join HOST:PORT'",
              path_));
    case Stage::joining:
      return failure(
          ErrorCode::not_found,
          fmt::format("{0} has not yet joined a cluster: go on with 'raftkv serve --data "
                      "{0} --id NAME --join HOST:PORT'",
                      path_));
    case Stage::node:
      break;
  }
  return explained(open_node(refuse_hopeless));
}

Result<OpenedNode> DataDirectory::open_node(bool refuse_hopeless) {
  if (Status forgotten = forget_join(); !forgotten) return failure(forgotten);
  auto promise = PromiseFile::open(env_, path_);
  if (!promise) return failure(promise);
  promise_ = std::make_unique<PromiseFile>(std::move(*promise));

  OpenedNode node;
  if (Status opened = open_state(node); !opened) return failure(opened);
  auto log = recover_log(log_env_, at(kLog), *promise_, node.state);
  if (!log) return failure(log);
  node.log_store = std::move(log->store);
  node.recovered = std::move(log->recovered);
  node.loss = std::move(log->loss);
  if (refuse_hopeless && node.recovered.promise_lost &&
      nobody_else_has_it(node.recovered, promise_->get())) {
    return failure(ErrorCode::invalid,
                   fmt::format("has lost a part of its log ({}), and there is no other voter to "
                               "repair it: bring back a copy of the directory or a backup, or make "
                               "a new cluster of what is left with 'raftkv recover'",
                               node.loss.empty() ? "an earlier start noticed" : node.loss));
  }
  if (Status begun = begin_incarnation(node); !begun) return failure(begun);
  node.states->remove_others();
  return node;
}

Status DataDirectory::open_state(OpenedNode& node) {
  const std::string& name = promise_->get().state_directory;
  auto states = StateDirectories::open(disk_, flag_, path_, name);
  const Status loaded = states ? load_state(node, std::move(*states)) : Status(failure(states));
  if (loaded || loaded.error().code != ErrorCode::corrupt) return loaded;
  // The log redoes it, or another node sends it.
  node.state_damage = loaded.error().message;
  node.state_store.reset();
  node.states.reset();
  const auto next = next_state_directory(name);
  if (!next) return failure(next);
  auto empty = StateDirectories::create(disk_, flag_, path_, *next);
  if (!empty) return failure(empty);
  return load_state(node, std::move(*empty));
}

Status DataDirectory::load_state(OpenedNode& node, std::unique_ptr<StateDirectories> states) {
  node.states = std::move(states);
  node.state_store = std::make_unique<replica::StateStore>(*node.states);
  auto state = node.state_store->load();
  if (!state) return failure(state);
  // A snapshot that was received and lost its end: the record is written last.
  if (!state->applied && node.states->view()->valid()) {
    return failure(ErrorCode::corrupt, "state: it has keys, and no record of what they are");
  }
  node.state = std::move(*state);
  return {};
}

// That a promise was lost is durable before the log is changed, for afterwards nothing would show
// it. In the same save: which state counts, and that the log begins where it should.
Status DataDirectory::begin_incarnation(OpenedNode& node) {
  const raft::Recovered& recovered = node.recovered;
  Promise promise = promise_->get();
  ++promise.identity.incarnation;
  promise.hard_state = recovered.hard_state;
  promise.lost = recovered.promise_lost;
  promise.state_directory = node.states->name();
  promise.begin_behind = {};
  if (promise.lost) {
    promise.through.index = recovered.last;
    promise.through.term = recovered.last_term();
  }
  if (Status saved = promise_->save(promise); !saved) return saved;
  node.identity = promise.identity;
  node.names = promise.names;
  if (recovered.applied <= node.log_store->last()) return {};
  return node.log_store->begin_behind(
      {.index = recovered.applied, .term = node.state.applied_term});
}

// Says which directory, and what to do.
Error DataDirectory::explain(const Error& error) const {
  switch (error.code) {
    case ErrorCode::corrupt:
      return {
          error.code,
          fmt::format("{} is damaged ({}): move it away and let the node join its cluster again "
                      "with 'raftkv serve --join'",
                      path_, error.message)};
    case ErrorCode::invalid:
      return {error.code, fmt::format("{} {}", path_, error.message)};
    case ErrorCode::unsupported:
      return {error.code,
              fmt::format("{} cannot be used ({}): use that version of raftkv, or a later one",
                          path_, error.message)};
    default:
      return {error.code, fmt::format("{} cannot be used ({}): {}", path_, error.message, kAdvice)};
  }
}

}  // namespace raftkv::storage
