#include "src/replica/host.h"

#include <algorithm>
#include <utility>

#include "src/base/check.h"
#include "src/replica/host_impl.h"

namespace raftkv::replica {

namespace {

raft::Options raft_options(const HostOptions& options) {
  raft::Options out = options.raft;
  out.address = options.raft_address;
  return out;
}

}  // namespace

Host::Impl::Impl(HostOptions options, const raft::Identity& identity, raft::Recovered recovered,
                 StateMeta meta, const HostPorts& ports, Prng prng)
    : options_(std::move(options)),
      ports_(ports),
      started_(ports.clock.now()),
      raft_(raft_options(options_), identity, std::move(recovered), prng, started_),
      applied_(std::move(meta)),
      log_(ports.log_store, ports.log_worker, ports.clock,
           {.batch_bytes_max = options_.log_batch_bytes_max,
            .checkpoint_interval = options_.checkpoint_interval},
           [this](const Status& status, raft::WriteId last) { log_done(status, last); }),
      apply_(
          ports.state_store, ports.apply_worker, ports.upkeep_worker,
          {.batch_bytes_max = options_.apply_batch_bytes_max,
           .sync_bytes = options_.state_sync_bytes,
           .sync_interval = options_.state_sync_interval},
          [this](const Status& status, std::span<const raft::Entry> entries, ApplyResult& result) {
            apply_done(status, entries, result);
          },
          [this](const Status& status, Index through) { state_synced(status, through); }),
      reads_(ports.state_store, ports.read_worker, options_.read_batch_max,
             [this](std::vector<Reads::Item>& items) {
               wake();
               answer_reads(items);
             }),
      fetches_(ports.log_store, ports.read_worker,
               [this](const Status& status, const raft::LogFetch& fetch,
                      std::vector<raft::Entry> entries) {
                 fetch_done(status, fetch, std::move(entries));
               }),
      cuts_(ports.log_store, ports.upkeep_worker, log_,
            [this](const Error& error) {
              wake();
              fail(error);
            }),
      streams_(
          ports.state_store, ports.read_worker,
          [this](const Status& status, SnapshotStreams::Opened opened) {
            snapshot_opened(status, std::move(opened));
          },
          [this](const Status& status, SnapshotStreams::Read read) {
            snapshot_read(status, std::move(read));
          }),
      intake_(
          ports.state_store, ports.apply_worker,
          [this](const Status& status, const SnapshotIntake::Received& received) {
            snapshot_received(status, received);
          },
          [this](const Result<StateMeta>& adopted) { snapshot_adopted(adopted); }),
      requests_(options_.requests_max),
      peers_(identity),
      advertise_at_(started_) {
  CHECK(applied_.applied == raft_.last_applied(), "the recovered log and the state do not agree");
  commits_.note(raft_.known_commit_index(), started_);
  compare_advertised();
  wake();
}

void Host::Impl::wake() {
  if (turn_asked_) return;
  turn_asked_ = true;
  ports_.clock.turn_soon();
}

bool Host::Impl::takes_part() const {
  return !fatal_ && (!stop_ || stop_->phase < Stop::Phase::closing);
}

void Host::Impl::expire() {
  wake_up_ = kNever;
  const Time time = now();
  if (takes_part()) {
    raft_.expire(time);
    expire_requests(time);
  }
  wake();
}

void Host::Impl::turn() {
  turn_asked_ = false;
  const Time time = now();
  if (takes_part()) {
    raft_.take_effects(time, effects_);
    carry_out(time);
    notice_lost_leadership(time);
    advertise(time);
    keep_connections();
    commits_.note(raft_.known_commit_index(), time);
  }
  if (stop_) advance_stop(time);
  if (!fatal_) start_work(time);
  arm_timer();
  deliver_answers();
  observe_marks();
  if (stop_ && stop_->phase == Stop::Phase::done && stop_->done)
    std::exchange(stop_->done, nullptr)();
}

// The disk begins before the network: both work while the other does.
void Host::Impl::carry_out(Time time) {
  for (raft::LogWrite& write : effects_.log_writes) {
    if (write.snapshot) {
      intake_.hold();
      install_write_ = write.id;
    }
    log_.push(std::move(write));
  }
  log_.start(time);
  for (const raft::Event& event : effects_.events) {
    if (!std::holds_alternative<raft::ConfigurationChanged>(event)) continue;
    note_departures();
    compare_advertised();
  }
  for (raft::Envelope& envelope : effects_.messages) {
    // Not known: of a candidate, say, to a learner that has no configuration yet. A lost message.
    const std::string* const address = address_of(envelope.route.to);
    if (address == nullptr) continue;
    const PeerAddress to{envelope.route.to, *address};
    ports_.network.send(to, raft::encode(std::move(envelope)));
  }
  carry_out_snapshots();
  apply_.push(effects_.apply);
  for (const raft::LogFetch& fetch : effects_.fetches) fetches_.push(fetch);
  for (const raft::ReadGranted& granted : effects_.reads_granted) grant(granted);
  for (const raft::ReadRefused& refused : effects_.reads_refused) refuse(refused);
  for (raft::Event& event : effects_.events) observe(std::move(event));
  marks_ |= effects_.marks;
}

void Host::Impl::observe_marks() {
  if (!marks_.any()) return;
  ports_.observer.observe(Marked{marks_});
  marks_.clear();
}

void Host::Impl::observe(raft::Event&& event) {
  if (const auto* ended = std::get_if<raft::TransferEnded>(&event)) transfer_ended(*ended);
  if (const auto* changed = std::get_if<raft::LeaderChanged>(&event))
    transfer_decided(changed->leader);
  if (std::holds_alternative<raft::ConfigurationChanged>(event) ||
      std::holds_alternative<raft::LeaderChanged>(event)) {
    connections_changed_ = true;
  }
  if (std::holds_alternative<raft::PromiseRepaired>(event)) log_.promise_repaired();
  ports_.observer.observe(Event(std::move(event)));
}

void Host::Impl::notice_lost_leadership(Time time) {
  const raft::Term leading = leads() ? raft_.current_term() : raft::Term();
  if (leading_term_ && leading != leading_term_) {
    pending_.leadership_lost(time + options_.raft.election_timeout);
  }
  leading_term_ = leading;
}

void Host::Impl::start_work(Time time) {
  log_.start(time);
  apply_.start(time);
  intake_.start();
  reads_.start();
  if (!reads_.fetched().empty()) {
    answer_reads(reads_.fetched());
    reads_.fetched().clear();
  }
  streams_.start();
  fetches_.start();
  cuts_.start();
}

// A wake-up that comes too early is harmless and cheaper than moving the timer with every input.
void Host::Impl::arm_timer() {
  Time next = stop_ ? stop_->deadline : kNever;
  if (stop_ && stop_->phase == Stop::Phase::done) next = kNever;
  if (takes_part()) {
    next = std::min({next, raft_.next_deadline(), requests_.next_deadline(),
                     pending_.next_deadline(), log_.next_deadline(), apply_.next_deadline()});
    if (advertised_differs_) next = std::min(next, advertise_at_);
  }
  if (next >= wake_up_) return;
  wake_up_ = next;
  ports_.clock.wake_at(next);
}

// --- what workers report ---

void Host::Impl::log_done(const Status& status, raft::WriteId last) {
  wake();
  if (fatal_) return;
  if (!status) return fail(status.error());
  if (!last || !takes_part()) return;
  // Before anything that follows the snapshot can be given out to be applied.
  if (install_write_ && *install_write_ <= last) {
    install_write_.reset();
    intake_.adopt();
    cuts_.was_cut();
  }
  raft_.log_written(last, now());
}

void Host::Impl::apply_done(const Status& status, std::span<const raft::Entry> entries,
                            ApplyResult& result) {
  wake();
  if (fatal_) return;
  if (!status) return fail(status.error());
  CHECK(result.meta.applied == entries.back().index());
  CHECK(result.outcomes.size() == entries.size());
  applied_ = std::move(result.meta);
  raft_.applied(applied_.applied, now());
  reads_.applied(applied_.applied);
  resolved_.clear();
  pending_.applied(entries, resolved_);
  for (const PendingProposals::Resolved& resolved : resolved_) resolve(resolved, entries, result);
  ports_.observer.observe(Applied{.index = applied_.applied, .digest = applied_.digest});
}

void Host::Impl::state_synced(const Status& status, Index through) {
  wake();
  if (fatal_) return;
  if (!status) return fail(status.error());
  if (takes_part()) raft_.state_synced(through, now());
}

void Host::Impl::answer_reads(std::vector<Reads::Item>& items) {
  for (Reads::Item& item : items) {
    if (fatal_) return;
    if (item.value) {
      if (*item.value && Index((*item.value)->index) > applied_.applied)
        mark(Mark::read_saw_more_than_was_reported);
      if (requests_.find(item.handle) != nullptr) {
        answer(item.handle, ReadResult{.value = std::move(*item.value)});
      }
      continue;
    }
    abandon(item.handle, Problem::internal, item.value.error().message);
    fail(item.value.error());
  }
}

void Host::Impl::fetch_done(const Status& status, const raft::LogFetch& fetch,
                            std::vector<raft::Entry> entries) {
  wake();
  if (!takes_part()) return;
  // A leader that went on without them would ask again and again, and its followers would wait.
  if (!status && status.error().code != ErrorCode::not_found) return fail(status.error());
  raft_.fetched(fetch, std::move(entries), now());
}

// --- the public face ---

Host::Host(HostOptions options, const raft::Identity& identity, raft::Recovered recovered,
           StateMeta meta, const HostPorts& ports, Prng prng)
    : impl_(std::make_unique<Impl>(std::move(options), identity, std::move(recovered),
                                   std::move(meta), ports, prng)) {}
Host::~Host() = default;

void Host::submit(Ticket ticket, Request request) {
  impl_->submit(ticket, std::move(request));
}
Status Host::receive(SharedBytes frame) {
  return impl_->receive(std::move(frame));
}
void Host::peer_event(raft::MemberId peer, raft::PeerEvent event) {
  impl_->peer_event(peer, event);
}
void Host::expire() {
  impl_->expire();
}
void Host::turn() {
  impl_->turn();
}
void Host::stop(Duration limit, std::move_only_function<void()> done) {
  impl_->stop(limit, std::move(done));
}
const raft::Raft& Host::raft() const {
  return impl_->raft();
}
const StateMeta& Host::applied() const {
  return impl_->applied();
}
NodeStatus Host::status() {
  return impl_->status();
}
bool Host::stopped() const {
  return impl_->stopped();
}
std::size_t Host::open_requests() const {
  return impl_->open_requests();
}

}  // namespace raftkv::replica
