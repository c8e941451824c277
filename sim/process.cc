#include "sim/process.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "sim/describe.h"
#include "sim/node.h"
#include "sim/transport.h"
#include "src/base/bytes.h"
#include "src/base/check.h"
#include "src/raft/message.h"
#include "src/raft/wire.h"

namespace raftkv::sim {
namespace {

constexpr std::size_t kFrameKindAt = 5;  // src/raft/wire.h
constexpr std::size_t kFrameChecksumAt = 16;
constexpr std::size_t kFrameToAt = 48;
constexpr std::int64_t kMillion = 1'000'000;

replica::HostOptions host_options(const Options& options, const Node& node) {
  replica::HostOptions host;
  host.raft.election_timeout = options.election_timeout;
  host.raft.heartbeat_interval = options.heartbeat_interval;
  host.raft.reset_election_delay_max = options.reset_election_delay_max;
  host.raft.batch_wait_max = options.batch_wait_max;
  host.raft.entries_per_message_max = options.entries_per_message_max;
  host.raft.bytes_per_message_max = options.bytes_per_message_max;
  host.raft.inflight_messages_max = options.inflight_messages_max;
  host.raft.inflight_bytes_max = options.inflight_bytes_max;
  host.raft.uncommitted_bytes_max = options.uncommitted_bytes_max;
  host.raft.unapplied_bytes_max = options.unapplied_bytes_max;
  host.raft.cached_bytes_max = options.cached_bytes_max;
  host.raft.reads_waiting_max = options.reads_waiting_max;
  host.raft.log_cut_step_bytes = options.log_cut_step_bytes;
  host.raft.log_kept_bytes = options.log_kept_bytes;
  host.raft.log_kept_for_streams_bytes = options.log_kept_for_streams_bytes;
  host.raft.snapshot_streams_max = options.snapshot_streams_max;
  host.raft.snapshot_chunk_bytes = options.snapshot_chunk_bytes;
  host.raft.snapshot_window_chunks = options.snapshot_window_chunks;
  host.raft.snapshot_stall_max = options.snapshot_stall_max;
  host.name = node.name();
  host.http_address = node.http_address();
  host.raft_address = node.raft_address();
  host.forward = options.forward != 0;
  host.request_timeout = options.request_timeout;
  host.state_sync_bytes = options.state_sync_bytes;
  return host;
}

}  // namespace

Process::Process(Kernel& kernel, Node& node, std::uint32_t epoch, NodeStorage::Opened opened)
    : kernel_(kernel),
      node_(node),
      epoch_(epoch),
      disconnected_(kernel.ghost.nodes.size()),
      workers_{SimWorker(kernel, node, WorkerKind::log), SimWorker(kernel, node, WorkerKind::apply),
               SimWorker(kernel, node, WorkerKind::read),
               SimWorker(kernel, node, WorkerKind::upkeep)},
      router_(http::RouterOptions{}, *this) {
  const Options& options = kernel.options;
  const auto drift = static_cast<std::int64_t>(options.drift_ppm_max);
  rate_ppm_ =
      static_cast<std::int64_t>(kernel.clocks.between(0, options.drift_ppm_max * 2)) - drift;
  offset_ = kernel.clocks.between(Duration(0), options.clock_offset_max);
  turn_delay_max_ = options.turn_delay_max;
  applied_seen_ = opened.meta.applied;
  const replica::HostPorts ports{*this,       *this, workers_[0], workers_[1], workers_[2],
                                 workers_[3], *this, *this,       *opened.log, *opened.state};
  host_ = std::make_unique<replica::Host>(
      host_options(options, node), opened.identity, std::move(opened.recovered), opened.meta, ports,
      kernel.stream(Stream::hosts, node.number() * 65536 + epoch));
  kernel.invariants.started(node.number(), host_->raft(), opened.meta, node.storage().contents());
  after_input();
}

Process::~Process() = default;

Time Process::now() {
  const std::int64_t t = kernel_.now.count();
  return Time(offset_ +
              Duration(t + t / kMillion * rate_ppm_ + t % kMillion * rate_ppm_ / kMillion));
}

Instant Process::instant_of(Time time) const {
  // A little late is harmless, early is a wasted event.
  const std::int64_t local = (time.time_since_epoch() - offset_).count();
  const std::int64_t rate = kMillion + rate_ppm_;
  return Duration(local / rate * kMillion + local % rate * kMillion / rate) + 1us;
}

void Process::wake_at(Time time) {
  if (time == kNever) {
    wake_at_ = kNever;
    ++wake_generation_;
    return;
  }
  // A wake-up that comes too early finds out, so only an earlier one needs another event.
  const bool covered = wake_at_ != kNever && wake_at_ <= time;
  if (covered) return;
  wake_at_ = time;
  ++wake_generation_;
  kernel_.queue.push({.at = std::max(kernel_.now, instant_of(time)),
                      .payload = wake_generation_,
                      .epoch = epoch_,
                      .kind = EventKind::wake,
                      .node = node_.endpoint()});
}

void Process::on_wake(std::uint32_t generation) {
  if (generation != wake_generation_) return;
  wake_at_ = kNever;
  host_->expire();
  after_input();
}

void Process::turn_soon() {
  turn_asked_ = true;
}

void Process::on_turn() {
  turn_pushed_ = false;
  turn_asked_ = false;
  host_->turn();
  after_input();
}

void Process::after_input() {
  while (turn_asked_ && turn_delay_max_ == Duration(0)) {
    turn_asked_ = false;
    host_->turn();
  }
  if (turn_asked_ && !turn_pushed_) {
    turn_pushed_ = true;
    const Duration delay = kernel_.disks.between(Duration(0), turn_delay_max_);
    kernel_.queue.push({.at = kernel_.now + delay,
                        .epoch = epoch_,
                        .kind = EventKind::turn,
                        .node = node_.endpoint()});
  }
  check();
}

// A turn that is still to come will say what the inputs before it did: the core's events come with
// its effects.
void Process::check() {
  if (turn_asked_) return;
  const raft::Raft& raft = host_->raft();
  kernel_.invariants.turned(node_.number(), raft);
  kernel_.trace.mix(raft.current_term().value << 8 | static_cast<std::uint64_t>(raft.role()));
  kernel_.trace.mix(raft.commit_index().value << 20 ^ raft.log().last_index().value);
}

// At once, whenever the turn comes: before it the next batch may be applied.
void Process::check_applied() {
  if (host_->applied().applied == applied_seen_) return;
  applied_seen_ = host_->applied().applied;
  const bool looks = kernel_.invariants.wants_contents(node_.number(), applied_seen_);
  kernel_.invariants.applied(node_.number(), host_->applied(),
                             looks ? node_.storage().contents() : nullptr);
}

void Process::on_frame(FrameInFlight frame) {
  if (frame.corrupt) {
    std::string copy(frame.bytes.view());
    const std::uint64_t bit = kernel_.corruption.below(copy.size() * 8);
    copy[bit / 8] = static_cast<char>(copy[bit / 8] ^ static_cast<char>(1 << (bit % 8)));
    frame.bytes = SharedBytes::from(std::move(copy));
  }
  // A member that was here before has connections of its own.
  const bool for_us =
      get_u64(frame.bytes.view().data() + kFrameToAt) == node_.identity().member.value;
  const Status status = host_->receive(std::move(frame.bytes));
  if (!frame.corrupt && !status) {
    const ErrorCode code = status.error().code;
    CHECK(code != ErrorCode::corrupt && code != ErrorCode::unsupported,
          "a frame that a Host has sent cannot be read");
  }
  if (frame.corrupt && status) {
    kernel_.verdict.fail("I18",
                         fmt::format("n{}: takes a frame with a flipped bit", node_.number() + 1));
  }
  if (!status) {
    // The connection is closed: both ends notice, and make another.
    kernel_.trace.line(kernel_.now, "{} closes the connection from n{}: {}", node_.name(),
                       frame.from + 1, status.error().message);
    if (for_us || frame.corrupt) break_connections(kernel_, frame.from, node_.endpoint());
  }
  after_input();
}

void Process::on_peer_event(std::size_t from, MemberId peer, raft::PeerEvent event) {
  disconnected_[from] = event == raft::PeerEvent::disconnected;
  if (!peer) return;
  host_->peer_event(peer, event);
  after_input();
}

void Process::on_job(EventKind kind, std::uint32_t worker) {
  if (kind == EventKind::job_run) {
    if (!workers_[worker].on_run()) return;  // nothing has reached the Host
  } else {
    workers_[worker].on_done();
  }
  check_applied();
  after_input();
}

bool Process::may_be_struck() const {
  return workers_[0].under_way() || (node_.storage().strikes_every_job() &&
                                     std::ranges::any_of(workers_, &SimWorker::under_way));
}

void Process::strike(Prng& prng) {
  if (!may_be_struck()) return;
  std::size_t worker = 0;
  if (node_.storage().strikes_every_job()) {
    worker = prng.below(workers_.size());
    while (!workers_[worker].under_way()) worker = (worker + 1) % workers_.size();
  }
  NodeStorage& storage = node_.storage();
  if (!storage.frozen()) storage.freeze_after(prng.below(storage.operations_of_a_job()));
  workers_[worker].run_unheard();
}

// --- frames out ---

void Process::send(const replica::PeerAddress& to, raft::Frame frame) {
  const auto target = node_of_address(to.address);
  if (!target || *target >= kernel_.ghost.nodes.size() || *target == node_.number()) return;
  const auto endpoint = static_cast<Endpoint>(*target);
  look_at_frame(frame, endpoint);
  const SharedBytes bytes = SharedBytes::from(std::move(frame).flatten());
  kernel_.trace.mix(get_u64(bytes.view().data() + kFrameChecksumAt));
  const Fate fate = kernel_.network.send(node_.endpoint(), endpoint, bytes.size(), kernel_.now);
  if (kernel_.watcher != nullptr)
    kernel_.watcher->sent(kernel_.now, node_.endpoint(), endpoint, bytes, fate);
  if (!fate.first) return;
  const std::uint32_t connection = kernel_.network.connection(node_.endpoint(), endpoint);
  if (fate.clogged) {
    kernel_.clogged.push_back(
        kernel_.frames.put({bytes, node_.endpoint(), endpoint, fate.corrupt, connection}));
    return;
  }
  for (const auto& arrival : {fate.first, fate.second}) {
    if (!arrival) continue;
    const bool corrupt = fate.corrupt && arrival == fate.first;
    const std::uint32_t at =
        kernel_.frames.put({bytes, node_.endpoint(), endpoint, corrupt, connection});
    kernel_.queue.push({.at = *arrival, .payload = at, .kind = EventKind::frame, .node = endpoint});
  }
}

// What leaves is decoded and checked; that it can be read whole, its receiver shows (on_frame).
void Process::look_at_frame(const raft::Frame& frame, Endpoint to) {
  const auto kind = static_cast<raft::FrameKind>(frame.head[kFrameKindAt]);
  if (kind >= raft::FrameKind::forward) {
    return kernel_.trace.line(kernel_.now, "{} -> n{} forward", node_.name(), to + 1);
  }
  const bool plain = kind == raft::FrameKind::pre_vote || kind == raft::FrameKind::pre_vote_reply ||
                     kind == raft::FrameKind::timeout_now;
  if (plain && !kernel_.trace.on()) return;
  const auto envelope = raft::decode(frame);
  CHECK(envelope.has_value(), "a message that the Host sends cannot be read");
  kernel_.invariants.sent(node_.number(), host_->raft(), *envelope);
  if (kernel_.trace.on()) {
    kernel_.trace.line(kernel_.now, "{} -> n{} {}", node_.name(), to + 1, describe(*envelope));
  }
}

// --- clients ---

void Process::on_request(std::uint32_t exchange) {
  const Exchange& asked = kernel_.exchanges[exchange];
  const std::array fields = {http::Field{"Host", node_.name()}};
  const http::HttpRequest request{asked.method, asked.target, fields, asked.body};
  auto routed = router_.route(request);
  if (auto* response = std::get_if<http::HttpResponse>(&routed)) {
    answer(exchange, std::move(*response));
  } else {
    auto& accepted = std::get<http::Routed>(routed);
    const std::uint64_t ticket = ++tickets_;
    pending_.push_back({ticket, exchange, std::move(accepted.context)});
    host_->submit(replica::Ticket(ticket), std::move(accepted.request));
  }
  after_input();
}

void Process::respond(replica::Ticket ticket, replica::Reply reply) {
  const auto found = std::ranges::find(pending_, ticket.value, &Pending::ticket);
  CHECK(found != pending_.end(), "a ticket is answered twice, or was never given");
  const Pending pending = std::move(*found);
  *found = std::move(pending_.back());
  pending_.pop_back();
  const std::uint32_t operation = kernel_.exchanges[pending.exchange].operation;
  if (operation != kNoOperation) kernel_.client_checks.served(node_.number(), operation, reply);
  answer(pending.exchange, router_.respond(pending.context, std::move(reply)));
}

void Process::answer(std::uint32_t exchange, http::HttpResponse response) {
  Exchange& answered = kernel_.exchanges[exchange];
  answered.status = response.status;
  answered.fields = std::move(response.fields);
  answered.response_body = std::move(response.body);
  send_response(kernel_, exchange);
}

std::vector<std::uint32_t> Process::abandoned() const {
  std::vector<std::uint32_t> exchanges;
  for (const Pending& pending : pending_) exchanges.push_back(pending.exchange);
  return exchanges;
}

void Process::observe(const replica::Event& event) {
  if (const auto* marked = std::get_if<replica::Marked>(&event)) {
    kernel_.marks |= marked->marks;
  } else {
    kernel_.invariants.observed(node_.number(), host_->raft(), event);
  }
  if (const auto* stopped = std::get_if<replica::Stopped>(&event)) {
    const bool expected = node_.storage().frozen() || node_.storage().faulty() ||
                          kernel_.ghost.nodes[node_.number()].damaged;
    if (!expected) {
      kernel_.verdict.fail("Stopped", fmt::format("n{}: stops though its disk is well: {}",
                                                  node_.number() + 1, stopped->error.message));
    }
  }
  if (kernel_.trace.on()) {
    const std::string text = describe(event);
    if (!text.empty()) kernel_.trace.line(kernel_.now, "{} {}", node_.name(), text);
  }
}

http::NodeSummary Process::summary() {
  const raft::Raft& raft = host_->raft();
  const raft::Member* leader = raft.configuration().find(raft.leader());
  return {node_.name(), host_->applied().applied, raft.current_term(),
          leader != nullptr ? leader->name : ""};
}

}  // namespace raftkv::sim
