#include "sim/node.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "sim/describe.h"
#include "sim/file_storage.h"
#include "src/base/check.h"
#include "src/http/join_http.h"
#include "src/raft/message.h"
#include "src/raft/wire.h"

namespace raftkv::sim {
namespace {

constexpr std::size_t kFrameKindAt = 5;  // src/raft/wire.h
constexpr std::size_t kFrameChecksumAt = 16;
constexpr std::size_t kFrameToAt = 48;
constexpr std::uint64_t kStartOperationsMax = 150;
constexpr std::int64_t kMillion = 1'000'000;
constexpr Duration kJoinTimeout = 1s;
constexpr Duration kJoinAgain = 500ms;  // a supervisor starts a process again that could not join

Endpoint endpoint_of(const Kernel& kernel, Requester requester) {
  return requester >= kJoiningFrom ? static_cast<Endpoint>(requester - kJoiningFrom)
                                   : kernel.network.clients();
}

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

Time as_time(Instant instant) {
  return Time(instant);
}

}  // namespace

std::optional<std::size_t> node_of_address(std::string_view address) {
  if (!address.starts_with('n')) return std::nullopt;
  std::size_t number = 0;
  const char* end = address.data() + address.size();
  const auto [rest, error] = std::from_chars(address.data() + 1, end, number);
  if (error != std::errc() || number == 0 || rest == end || *rest != ':') return std::nullopt;
  return number - 1;
}

std::string_view field(std::string_view fields, std::string_view name) {
  const std::string start = std::string(name) + ": ";
  std::size_t at = fields.starts_with(start) ? 0 : fields.find("\r\n" + start);
  if (at == std::string_view::npos) return {};
  if (at != 0) at += 2;
  fields.remove_prefix(at + start.size());
  return fields.substr(0, fields.find("\r\n"));
}

void send_request(Kernel& kernel, Endpoint from, Exchange&& exchange) {
  const Endpoint to = exchange.node;
  const Fate fate = kernel.network.send_reliably(from, to, kernel.now);
  if (!fate.first) return;
  const std::uint32_t at = kernel.exchanges.put(std::move(exchange));
  kernel.queue.push({.at = *fate.first, .payload = at, .kind = EventKind::request, .node = to});
}

void send_response(Kernel& kernel, std::uint32_t exchange) {
  const Exchange& answered = kernel.exchanges[exchange];
  const Endpoint to = endpoint_of(kernel, answered.requester);
  const Fate fate = kernel.network.send_reliably(answered.node, to, kernel.now);
  if (!fate.first) {
    (void)kernel.exchanges.take(exchange);
    return;
  }
  kernel.queue.push(
      {.at = *fate.first, .payload = exchange, .kind = EventKind::response, .node = to});
}

void push_peer_event(Kernel& kernel, Endpoint at, Endpoint about, raft::PeerEvent event,
                     Instant when) {
  const std::uint32_t connected = event == raft::PeerEvent::connected ? 1 : 0;
  kernel.queue.push(
      {.at = when, .payload = about * 2u + connected, .kind = EventKind::peer_event, .node = at});
}

void break_connections(Kernel& kernel, Endpoint a, Endpoint b) {
  kernel.network.break_connections(a, b);
  for (const auto& [at, about] : {std::pair{a, b}, {b, a}}) {
    const Instant closed = kernel.now + kernel.network.latency();
    const Instant opened = closed + kernel.network.latency();
    push_peer_event(kernel, at, about, raft::PeerEvent::disconnected, closed);
    push_peer_event(kernel, at, about, raft::PeerEvent::connected, opened);
  }
}

// --- SimWorker ---

void SimWorker::run(replica::Job job, replica::Done done) {
  jobs_.push_back({std::move(job), std::move(done)});
  begin();
}

void SimWorker::push(EventKind kind, Duration delay) {
  kernel_.queue.push({.at = kernel_.now + delay,
                      .payload = static_cast<std::uint32_t>(kind_),
                      .epoch = node_.epoch(),
                      .kind = kind,
                      .node = node_.endpoint()});
}

void SimWorker::begin() {
  if (state_ != State::idle || jobs_.empty()) return;
  const Options& options = kernel_.options;
  if (kind_ != WorkerKind::log) {
    state_ = State::begun;
    return push(EventKind::job_run, kernel_.disks.between(options.work_min, options.work_max));
  }
  const std::uint64_t factor = node_.disk_factor();
  if (factor == 0) return;  // stalled; go_on() comes later
  state_ = State::begun;
  push(EventKind::job_run, kernel_.disks.between(options.sync_min, options.sync_max) *
                               static_cast<std::int64_t>(factor));
}

bool SimWorker::on_run() {
  CHECK(state_ == State::begun);
  result_ = jobs_.front().first();
  state_ = State::ran;
  node_.storage().job_ran();
  // What the log and the apply worker have done takes a moment to reach the loop: a crash may find
  // it durable and unsaid, a read may see more than was reported.
  if (kind_ != WorkerKind::log && kind_ != WorkerKind::apply) {
    // Power was lost within it: nobody hears of its end.
    if (!node_.storage().frozen()) on_done();
    return true;
  }
  const Duration heard_max = std::min(kernel_.options.work_max, kernel_.options.sync_max);
  push(EventKind::job_done, kernel_.disks.between(Duration(0), heard_max));
  return false;
}

void SimWorker::on_done() {
  CHECK(state_ == State::ran);
  replica::Done done = std::move(jobs_.front().second);
  jobs_.pop_front();
  state_ = State::idle;
  done(std::move(result_));
  begin();
}

// --- Process ---

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

// --- Node ---

Node::Node(Kernel& kernel, std::size_t number, std::string name)
    : kernel_(kernel), number_(number), name_(std::move(name)) {
  storage_ = kernel.options.leveldb == 0
                 ? make_memory_storage(*this)
                 : make_file_storage(*this, {name_, http_address(), raft_address()},
                                     kernel.stream(Stream::storage, number + 1),
                                     kernel.options.syncs_lie != 0);
}

void Node::found(raft::ClusterId cluster, MemberId member, raft::InstanceId instance,
                 const std::vector<raft::Entry>& entries) {
  instance_ = instance;
  identity_ = {cluster, member, instance, Incarnation()};
  storage_->found(identity_, entries);
}

void Node::start(std::vector<std::string> endpoints) {
  if (started()) return;
  paused_ = false;
  if (storage_->holds_node()) return start_process();
  // Both copies of its promise are lost. It may join as another instance only, and no process knows
  // which one it was.
  if (has_identity() && kernel_.ghost.nodes[number_].damaged)
    return refuse("nothing says that it was a member");
  const auto instance =
      storage_->begin_join(instance_ ? instance_ : raft::InstanceId(kernel_.identities.next() | 1));
  if (!instance) return cannot_start(instance.error());
  instance_ = *instance;
  replica::JoinOptions options;
  options.endpoints = std::move(endpoints);
  options.request = {name_, http_address(), raft_address(), instance_};
  joining_.emplace(std::move(options));
  join_step();
}

void Node::start_process() {
  joining_.reset();
  ++epoch_;
  maybe_strike_start();
  const GhostNode& ghost = kernel_.ghost.nodes[number_];
  const bool was_damaged = ghost.damaged;
  const raft::Index synced = ghost.durable_state;
  auto opened = storage_->open();
  if (!opened) return cannot_start(opened.error());
  identity_ = opened->identity;
  instance_ = identity_.instance;
  process_ = std::make_unique<Process>(kernel_, *this, epoch_, *std::move(opened));
  kernel_.trace.line(kernel_.now, "{} starts: member {}, incarnation {}, log through {}, term {}",
                     name_, identity_.member.value, identity_.incarnation.value,
                     process_->host().raft().log().last_index().value,
                     process_->host().raft().current_term().value);
  if (was_damaged) {
    RotCounts& rot = kernel_.rot;
    const bool less = ghost.durable_state < synced;
    ++(ghost.damaged        ? rot.hidden
       : ghost.promise_lost ? rot.promise_lost
       : less               ? rot.state_lost
                            : rot.whole);
  }
  tell_peers(raft::PeerEvent::connected);
}

void Node::cannot_start(const Error& error) {
  kernel_.trace.line(kernel_.now, "{} cannot start: {}", name_, error.message);
  joining_.reset();
  if (storage_->frozen() || storage_->faulty()) {
    storage_->crash(storage_->frozen() ? Crash::power : Crash::process, kernel_.crashes);
    return start_again();
  }
  if (kernel_.ghost.nodes[number_].damaged) return refuse(error.message);
  kernel_.verdict.fail("I21", fmt::format("n{}: cannot start, though its disk is well: {}",
                                          number_ + 1, error.message));
}

void Node::refuse(std::string_view why) {
  kernel_.trace.line(kernel_.now, "{} is damaged and refuses: {}", name_, why);
  ++kernel_.rot.refused;
  wipe();
  start_again();
}

void Node::maybe_strike_start() {
  const std::uint64_t percent = kernel_.options.start_strikes_percent;
  if (percent == 0 || kernel_.calm || !kernel_.storage.chance(percent, 100)) return;
  storage_->freeze_after(kernel_.storage.below(kStartOperationsMax));
}

void Node::stopped() {
  const bool faulty = storage_->faulty();
  kill(Crash::process);
  if (!faulty && kernel_.ghost.nodes[number_].damaged)
    return refuse("it stopped when it met the damage");
  start_again();
}

void Node::start_again() {
  kernel_.queue.push({.at = kernel_.now + kJoinAgain,
                      .payload = ++join_attempt_,
                      .kind = EventKind::join_timer,
                      .node = endpoint()});
}

void Node::tell_peers(raft::PeerEvent event) {
  for (std::size_t peer = 0; peer < kernel_.ghost.nodes.size(); ++peer) {
    const auto at = static_cast<Endpoint>(peer);
    if (peer == number_ || !kernel_.network.open(endpoint(), at)) continue;
    push_peer_event(kernel_, at, endpoint(), event, kernel_.now + kernel_.network.latency());
  }
}

void Node::kill(Crash kind) {
  joining_.reset();
  ++join_attempt_;
  if (!process_) {
    if (storage_->in_use()) storage_->crash(kind, kernel_.crashes);
    return;
  }
  kernel_.trace.line(kernel_.now, "{} {}", name_,
                     kind == Crash::power ? "loses power" : "is killed");
  // Half of the crashes that find a job under way strike within it.
  const bool within = process_->may_be_struck() && kernel_.crashes.chance(1, 2);
  if (within || storage_->frozen()) process_->strike(kernel_.crashes);
  for (const std::uint32_t exchange : process_->abandoned()) {
    kernel_.exchanges[exchange].status = kReset;
    send_response(kernel_, exchange);
  }
  // A killed process's machine tells its peers; one without power does not.
  if (kind == Crash::process) tell_peers(raft::PeerEvent::disconnected);
  process_.reset();
  paused_ = false;
  kernel_.invariants.died(number_);
  storage_->crash(kind, kernel_.crashes);
}

void Node::wipe() {
  kill(Crash::power);
  storage_->wipe();
  identity_ = {};
  instance_ = {};
  kernel_.invariants.wiped(number_);
}

void Node::rot(const Action& how) {
  kill(Crash::power);
  if (!storage_->rot(how)) return;
  kernel_.invariants.damaged(number_);
  ++kernel_.rot.damaged;
}

void Node::lose_state() {
  kill(Crash::power);
  storage_->lose_state();
  kernel_.invariants.lost_state(number_);
}

void Node::set_disk_factor(std::uint64_t factor) {
  disk_factor_ = factor;
  if (process_) process_->disk_changed();
}

// --- joining ---

void Node::join_step() {
  replica::JoinStep step = joining_->next(as_time(kernel_.now));
  waits_for_answer_ = std::holds_alternative<replica::JoinSend>(step);
  const auto timer = [&](Instant at) {
    kernel_.queue.push(
        {.at = at, .payload = ++join_attempt_, .kind = EventKind::join_timer, .node = endpoint()});
  };
  if (const auto* send = std::get_if<replica::JoinSend>(&step)) {
    timer(kernel_.now + kJoinTimeout);
    const auto to = node_of_address(send->endpoint);
    if (!to || *to >= kernel_.ghost.nodes.size()) return;
    Exchange exchange;
    exchange.requester = kJoiningFrom + static_cast<Requester>(number_);
    exchange.attempt = join_attempt_;
    exchange.node = static_cast<Endpoint>(*to);
    exchange.method = "POST";
    exchange.target = http::kJoinTarget;
    exchange.body = http::join_body({name_, http_address(), raft_address(), instance_});
    return send_request(kernel_, endpoint(), std::move(exchange));
  }
  if (const auto* wait = std::get_if<replica::JoinWait>(&step)) {
    return timer(std::max(kernel_.now, wait->until.time_since_epoch()));
  }
  if (const auto* done = std::get_if<replica::JoinDone>(&step)) {
    joining_.reset();
    maybe_strike_start();
    if (Status finished = storage_->finish_join(done->cluster, done->member); !finished)
      return cannot_start(finished.error());
    return start_process();
  }
  // A supervisor tries again: what was refused (the old process is still heard from) may pass.
  const auto& failed = std::get<replica::JoinFailed>(step);
  kernel_.trace.line(kernel_.now, "{} cannot join: {}", name_, failed.error.message);
  joining_.reset();
  start_again();
}

void Node::on_join_timer(std::uint32_t attempt, std::vector<std::string> endpoints) {
  if (attempt != join_attempt_ || kernel_.closing) return;
  if (!joining_) return start(std::move(endpoints));
  if (waits_for_answer_) joining_->answer(replica::JoinRetry{"no answer"}, as_time(kernel_.now));
  join_step();
}

void Node::on_response(const Exchange& exchange) {
  if (!joining_ || !waits_for_answer_ || exchange.attempt != join_attempt_) return;
  const auto answer = exchange.status == kRefused || exchange.status == kReset
                          ? replica::JoinAnswer(replica::JoinRetry{"no connection"})
                          : http::join_answer(exchange.status, field(exchange.fields, "Location"),
                                              exchange.response_body);
  joining_->answer(answer, as_time(kernel_.now));
  join_step();
}

}  // namespace raftkv::sim
