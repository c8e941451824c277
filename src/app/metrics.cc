#include "src/app/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <map>

namespace raftkv::app {
namespace {

constexpr std::array<const char*, kRequestKinds> kKindNames = {
    "write", "read_default", "read_consistent", "read_stale", "administration"};
constexpr std::array<const char*, kRequestOutcomes> kOutcomeNames = {"ok", "not_leader", "refused",
                                                                     "unknown"};
constexpr std::array<const char*, 5> kRoles = {"leader", "follower", "candidate", "learner",
                                               "recovering"};

const prometheus::Histogram::BucketBoundaries& seconds() {
  static const prometheus::Histogram::BucketBoundaries kBuckets = {
      0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5};
  return kBuckets;
}
const prometheus::Histogram::BucketBoundaries& powers() {
  static const prometheus::Histogram::BucketBoundaries kBuckets = {1,  2,   4,   8,   16,   32,
                                                                   64, 128, 256, 512, 1024, 4096};
  return kBuckets;
}

double in_seconds(Duration time) {
  return std::chrono::duration<double>(time).count();
}

double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  double pages = 0;
  double resident = 0;
  statm >> pages >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

using Labels = std::map<std::string, std::string>;

}  // namespace

struct Metrics::Families {
  prometheus::Registry registry;
  std::array<std::array<prometheus::Counter*, kRequestOutcomes>, kRequestKinds> requests{};
  std::array<prometheus::Histogram*, kRequestKinds> request_seconds{};
  prometheus::Histogram* log_write_seconds = nullptr;
  prometheus::Histogram* log_write_entries = nullptr;
  prometheus::Counter* log_write_bytes = nullptr;
  prometheus::Counter* leader_changes = nullptr;
  prometheus::Counter* frames_refused = nullptr;
  prometheus::Counter* snapshots_sent = nullptr;
  prometheus::Counter* snapshots_installed = nullptr;
  prometheus::Counter* snapshots_failed = nullptr;
  prometheus::Counter* snapshot_bytes_sent = nullptr;
  prometheus::Counter* snapshot_bytes_received = nullptr;
  prometheus::Family<prometheus::Counter>* marks = nullptr;
  std::array<prometheus::Counter*, kMarks> mark_counters{};  // null: never came to it
  prometheus::Counter* backup_bytes = nullptr;
  std::array<prometheus::Counter*, 2> backups = {};  // broken, whole
  prometheus::Family<prometheus::Gauge>* peer_lag = nullptr;
  std::vector<prometheus::Gauge*> peer_lags;  // of the last text()

  prometheus::Counter& counter(const std::string& name, const std::string& help,
                               const Labels& labels = {}) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add(labels);
  }
  void gauge(const std::string& name, const std::string& help, double value,
             const Labels& labels = {}) {
    prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add(labels).Set(value);
  }
  // A count that somebody else keeps.
  void counted(const std::string& name, const std::string& help, std::uint64_t value,
               const Labels& labels = {}) {
    auto& into = counter(name, help, labels);
    into.Increment(static_cast<double>(value) - into.Value());
  }
  void take(const MetricsSnapshot& now);
  void take_connections(const MetricsSnapshot& now);
};

Metrics::Metrics() : families_(std::make_unique<Families>()) {
  Families& f = *families_;
  auto& requests = prometheus::BuildCounter()
                       .Name("raftkv_requests_total")
                       .Help("Answered requests.")
                       .Register(f.registry);
  auto& latency = prometheus::BuildHistogram()
                      .Name("raftkv_request_seconds")
                      .Help("From a whole request to its answer.")
                      .Register(f.registry);
  for (std::size_t kind = 0; kind < kRequestKinds; ++kind) {
    f.request_seconds[kind] = &latency.Add({{"kind", kKindNames[kind]}}, seconds());
    for (std::size_t outcome = 0; outcome < kRequestOutcomes; ++outcome) {
      f.requests[kind][outcome] =
          &requests.Add({{"kind", kKindNames[kind]}, {"outcome", kOutcomeNames[outcome]}});
    }
  }
  f.log_write_seconds = &prometheus::BuildHistogram()
                             .Name("raftkv_log_write_seconds")
                             .Help("Durable writes to the log.")
                             .Register(f.registry)
                             .Add({}, seconds());
  f.log_write_entries = &prometheus::BuildHistogram()
                             .Name("raftkv_log_write_entries")
                             .Help("Entries of one durable write to the log.")
                             .Register(f.registry)
                             .Add({}, powers());
  f.log_write_bytes =
      &f.counter("raftkv_log_written_bytes_total", "Entries written to the log, in bytes.");
  f.leader_changes =
      &f.counter("raftkv_leader_changes_total", "Leaders that this node has seen come or go.");
  f.frames_refused =
      &f.counter("raftkv_peer_frames_refused_total", "Frames that closed their connection.");
  f.snapshots_sent =
      &f.counter("raftkv_snapshots_sent_total", "Snapshots that a member has installed from here.");
  f.snapshots_installed =
      &f.counter("raftkv_snapshots_installed_total", "Snapshots that became this node's state.");
  f.snapshots_failed =
      &f.counter("raftkv_snapshots_failed_total", "Snapshots given up on the way.");
  f.snapshot_bytes_sent = &f.counter("raftkv_snapshot_bytes_total", "Bytes of snapshots' chunks.",
                                     {{"direction", "sent"}});
  f.snapshot_bytes_received = &f.counter(
      "raftkv_snapshot_bytes_total", "Bytes of snapshots' chunks.", {{"direction", "received"}});
  f.marks = &prometheus::BuildCounter()
                 .Name("raftkv_marks_total")
                 .Help("Rare moments of the algorithm that this node came to.")
                 .Register(f.registry);
  f.backup_bytes = &f.counter("raftkv_backup_bytes_total", "Bytes of backups handed to clients.");
  const auto backups = [&](const char* outcome) {
    return &f.counter("raftkv_backups_total", "Backups that have ended.", {{"outcome", outcome}});
  };
  f.backups = {backups("broken"), backups("whole")};
  f.peer_lag = &prometheus::BuildGauge()
                    .Name("raftkv_peer_lag_entries")
                    .Help("Entries that a member is behind; the leader knows it.")
                    .Register(f.registry);
}

Metrics::~Metrics() = default;

void Metrics::request_done(RequestKind kind, RequestOutcome outcome, Duration took) {
  const auto k = static_cast<std::size_t>(kind);
  families_->requests[k][static_cast<std::size_t>(outcome)]->Increment();
  families_->request_seconds[k]->Observe(in_seconds(took));
}

void Metrics::leader_changed() {
  families_->leader_changes->Increment();
}
void Metrics::frame_refused() {
  families_->frames_refused->Increment();
}

void Metrics::snapshot_sent() {
  families_->snapshots_sent->Increment();
}
void Metrics::snapshot_installed() {
  families_->snapshots_installed->Increment();
}
void Metrics::snapshot_failed() {
  families_->snapshots_failed->Increment();
}
void Metrics::chunk_sent(std::size_t bytes) {
  families_->snapshot_bytes_sent->Increment(static_cast<double>(bytes));
}
void Metrics::chunk_received(std::size_t bytes) {
  families_->snapshot_bytes_received->Increment(static_cast<double>(bytes));
}
void Metrics::backup_piece_sent(std::size_t bytes) {
  families_->backup_bytes->Increment(static_cast<double>(bytes));
}
void Metrics::backup_ended(bool whole) {
  families_->backups[whole ? 1 : 0]->Increment();
}

void Metrics::marked(const MarkSet& marks) {
  marks.for_each([this](Mark mark) {
    prometheus::Counter*& counter = families_->mark_counters[static_cast<std::size_t>(mark)];
    if (counter == nullptr) {
      counter = &families_->marks->Add({{"mark", std::string(text_of(mark).name)}});
    }
    counter->Increment();
  });
}

void Metrics::log_written(std::size_t entries, std::size_t bytes, Duration took) {
  families_->log_write_seconds->Observe(in_seconds(took));
  families_->log_write_entries->Observe(static_cast<double>(entries));
  families_->log_write_bytes->Increment(static_cast<double>(bytes));
}

void Metrics::Families::take(const MetricsSnapshot& now) {
  for (const char* role : kRoles) {
    gauge("raftkv_role", "1 for the role that this node has.", now.role == role ? 1 : 0,
          {{"role", role}});
  }
  const auto number = [&](const std::string& name, const std::string& help, std::uint64_t value) {
    gauge(name, help, static_cast<double>(value));
  };
  number("raftkv_term", "The current term.", now.term);
  number("raftkv_commit_index", "The last log index known to be committed.", now.commit_index);
  number("raftkv_applied_index", "The last log index applied.", now.applied_index);
  number("raftkv_first_index", "The first index of the log.", now.first_index);
  number("raftkv_last_index", "The last index of the log.", now.last_index);
  number("raftkv_stable_index", "The last log index durable here.", now.stable_index);
  number("raftkv_open_requests", "Requests that wait for their answer.", now.open_requests);
  gauge("raftkv_members", "Members of the configuration.", static_cast<double>(now.voters),
        {{"role", "voter"}});
  gauge("raftkv_members", "Members of the configuration.", static_cast<double>(now.learners),
        {{"role", "learner"}});
  gauge("process_resident_memory_bytes", "Resident memory size in bytes.", resident_bytes());
  for (prometheus::Gauge* lag : peer_lags) peer_lag->Remove(lag);
  peer_lags.clear();
  for (const auto& peer : now.peers) {
    auto& lag = peer_lag->Add({{"peer", peer.name}});
    lag.Set(static_cast<double>(peer.lag));
    peer_lags.push_back(&lag);
  }
}

void Metrics::Families::take_connections(const MetricsSnapshot& now) {
  gauge("raftkv_http_connections", "Open client connections.",
        static_cast<double>(now.http_connections));
  counted("raftkv_http_requests_total", "Whole requests read.", now.http_requests);
  counted("raftkv_http_refused_total", "Requests refused for their framing, size or time.",
          now.http_refused);
  const Labels in = {{"direction", "in"}};
  const Labels out = {{"direction", "out"}};
  gauge("raftkv_peer_connections", "Open connections of members.",
        static_cast<double>(now.peer_connections_in), in);
  gauge("raftkv_peer_connections", "Open connections of members.",
        static_cast<double>(now.peer_connections_out), out);
  counted("raftkv_peer_bytes_total", "Bytes of members' frames.", now.peer_bytes_in, in);
  counted("raftkv_peer_bytes_total", "Bytes of members' frames.", now.peer_bytes_out, out);
  counted("raftkv_peer_frames_total", "Members' frames.", now.peer_frames_in, in);
  counted("raftkv_peer_frames_total", "Members' frames.", now.peer_frames_out, out);
  counted("raftkv_peer_frames_dropped_total",
          "Frames not sent: no connection, or its queue was full.", now.peer_frames_dropped);
  counted("raftkv_peer_connections_refused_total",
          "Connections to the Raft port that were closed for what they did.", now.peer_refused);
}

std::string Metrics::text(const MetricsSnapshot& snapshot) {
  families_->take(snapshot);
  families_->take_connections(snapshot);
  return prometheus::TextSerializer().Serialize(families_->registry.Collect());
}

}  // namespace raftkv::app
