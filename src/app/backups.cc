#include "src/app/backups.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "src/app/event_log.h"
#include "src/app/logs.h"

namespace raftkv::app {

struct Backups::Reading {
  Time begun{};
  std::unique_ptr<replica::BackupEncoder> encoder;  // the job's while one is under way
  std::string piece;                                // the same
  std::uint64_t sent = 0;
  bool whole = false;
};

class Backups::Body final : public http::BodySource {
 public:
  Body(Backups& backups, Id id) : backups_(backups), id_(id) {}
  ~Body() override { backups_.close(id_); }

  void next(OnPiece done) override { backups_.read(id_, std::move(done)); }

 private:
  Backups& backups_;
  const Id id_;
};

Backups::Backups(Loop& loop, replica::Clock& clock, replica::StateStore& states,
                 raft::ClusterId cluster, Metrics& metrics, BackupLimits limits)
    : clock_(clock),
      states_(states),
      cluster_(cluster),
      metrics_(metrics),
      limits_(limits),
      worker_(loop, "backup") {}

Backups::~Backups() {
  worker_.stop();
}

void Backups::open(OnOpened done) {
  if (open_.size() >= limits_.open_max) {
    return done(failure(ErrorCode::exhausted,
                        "as many backups as this node gives at once are under way; try again"));
  }
  const Id id = ++last_id_;
  const auto reading = std::make_shared<Reading>();
  reading->begun = clock_.now();
  open_.emplace(id, reading);
  worker_.run(
      [this, reading]() -> Status {
        auto state = states_.open_snapshot();
        if (!state) return failure(state);
        reading->encoder = std::make_unique<replica::BackupEncoder>(cluster_, std::move(*state));
        return {};
      },
      [this, id, done = std::move(done)](const Status& status) mutable {
        opened(id, status, done);
      });
}

void Backups::opened(Id id, const Status& status, OnOpened& done) {
  if (!status) {
    open_.erase(id);
    return done(failure(status));
  }
  const replica::Index applied = open_.at(id)->encoder->meta().applied;
  spdlog::info("event=backup_begun index={}", applied.value);
  done(Opened{.applied = applied, .body = std::make_unique<Body>(*this, id)});
}

void Backups::read(Id id, OnPiece done) {
  const auto& reading = open_.at(id);
  const bool late = clock_.now() - reading->begun > limits_.time_max;
  worker_.run(
      [reading, late, size = limits_.piece_bytes]() -> Status {
        if (late) return failure(ErrorCode::exhausted, "it took too long");
        auto piece = reading->encoder->next(size);
        if (!piece) return failure(piece);
        reading->piece = std::move(*piece);
        return {};
      },
      [this, id, done = std::move(done)](const Status& status) mutable {
        was_read(id, status, done);
      });
}

void Backups::was_read(Id id, const Status& status, OnPiece& done) {
  const auto found = open_.find(id);
  if (found == open_.end()) return;  // its connection has gone meanwhile
  Reading& reading = *found->second;
  if (!status) {
    spdlog::warn("event=backup_failed reason={}", quoted(status.error().message));
    return done(failure(status));
  }
  reading.sent += reading.piece.size();
  reading.whole = reading.piece.empty();
  metrics_.backup_piece_sent(reading.piece.size());
  done(std::exchange(reading.piece, {}));
}

// The view goes where it was read: closing one may remove the files of a state that is no longer in
// use.
void Backups::close(Id id) {
  const auto found = open_.find(id);
  std::shared_ptr<Reading> reading = std::move(found->second);
  open_.erase(found);
  metrics_.backup_ended(reading->whole);
  spdlog::info(
      "event=backup_ended whole={} bytes={} ms={}", reading->whole, reading->sent,
      std::chrono::duration_cast<std::chrono::milliseconds>(clock_.now() - reading->begun).count());
  worker_.run(
      [reading = std::move(reading)]() mutable -> Status {
        reading.reset();
        return {};
      },
      [](const Status&) {});
}

}  // namespace raftkv::app
