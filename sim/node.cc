#include "sim/node.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "sim/file_storage.h"
#include "sim/transport.h"
#include "src/http/join_http.h"

namespace raftkv::sim {
namespace {

constexpr std::uint64_t kStartOperationsMax = 150;
constexpr Duration kJoinTimeout = 1s;
constexpr Duration kJoinAgain = 500ms;  // a supervisor starts a process again that could not join

Time as_time(Instant instant) {
  return Time(instant);
}

}  // namespace

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
