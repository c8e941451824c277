#include "sim/report/recorder.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "sim/describe.h"
#include "sim/world.h"
#include "src/raft/message.h"
#include "src/raft/wire.h"

namespace raftkv::sim {
namespace {

bool is_idle(const raft::Envelope& envelope) {
  if (const auto* append = std::get_if<raft::AppendEntries>(&envelope.message))
    return append->entries.empty();
  if (const auto* reply = std::get_if<raft::AppendEntriesReply>(&envelope.message))
    return !reply->conflict.has_value();
  return false;
}

Part part_of(const Node& node) {
  if (!node.running()) return node.joining() ? Part::joining : Part::down;
  const raft::Raft& raft = node.process()->host().raft();
  if (raft.role() == raft::Role::leader) return Part::leader;
  if (raft.role() == raft::Role::candidate) return Part::candidate;
  const Configuration& configuration = raft.configuration();
  const MemberId own = raft.identity().member;
  const bool votes =
      raft::contains(configuration.voters, own) || raft::contains(configuration.outgoing, own);
  return votes ? Part::follower : Part::learner;
}

std::string text_of(const Operation& operation) {
  std::string text = print(*operation.action);
  text.erase(0, text.find(' ') + 1);  // the time
  if (operation.outcome == Outcome::ok && operation.action->verb == Verb::get)
    text += ": " + (operation.value ? *operation.value : std::string("nothing"));
  return text;
}

}  // namespace

bool NodeMoment::same_standing(const NodeMoment& other) const {
  return part == other.part && paused == other.paused && promise_lost == other.promise_lost &&
         disk_factor == other.disk_factor && disk_fails == other.disk_fails &&
         disk_damaged == other.disk_damaged && deaf_to == other.deaf_to &&
         mute_to == other.mute_to && term == other.term && vote == other.vote;
}

bool NodeMoment::same(const NodeMoment& other) const {
  return same_standing(other) && commit == other.commit && applied == other.applied &&
         stable == other.stable && last == other.last;
}

void Recorder::happened(const World& world, const Event& event) {
  const bool first = record_.nodes.empty();
  if (first) {
    record_.nodes.resize(world.nodes().size());
    seen_.resize(world.nodes().size());
  }
  record_.end = world.kernel().now;  // a CHECK may end the run before ended()
  // What happens to a node changes that node; an action may change any.
  const bool any = first || event.kind == EventKind::action || event.kind == EventKind::phase ||
                   event.node >= world.nodes().size();
  for (std::size_t node = 0; node < world.nodes().size(); ++node) {
    if (any || node == event.node) look(world, node);
  }
}

void Recorder::look(const World& world, std::size_t number) {
  const Node& node = *world.nodes()[number];
  const Kernel& kernel = world.kernel();
  const GhostNode& ghost = kernel.ghost.nodes[number];
  Record::OfNode& seen = record_.nodes[number];
  NodeMoment now;
  now.at = seen.moments.empty() ? Instant(0) : kernel.now;
  now.part = part_of(node);
  now.disk_factor = node.disk_factor();
  now.disk_fails = node.storage().faulty();
  now.disk_damaged = ghost.damaged;
  for (std::size_t other = 0; other < world.nodes().size(); ++other) {
    if (other == number) continue;
    const auto at = static_cast<Endpoint>(other);
    if (!kernel.network.open(at, node.endpoint())) now.deaf_to |= 1u << other;
    if (!kernel.network.open(node.endpoint(), at)) now.mute_to |= 1u << other;
  }
  if (node.running()) {
    const raft::Raft& raft = node.process()->host().raft();
    now.paused = node.paused();
    now.promise_lost = raft.promise_lost();
    now.term = raft.current_term().value;
    now.vote = raft.voted_for().value;
    now.commit = raft.commit_index().value;
    now.applied = node.process()->host().applied().applied.value;
    now.stable = raft.stable_index().value;
    now.last = raft.log().last_index().value;
    const std::uint64_t member = raft.identity().member.value;
    if (std::ranges::find(seen.members, member) == seen.members.end())
      seen.members.push_back(member);
  } else {
    now.term = ghost.durable_hard_state.current_term.value;
    now.vote = ghost.durable_hard_state.voted_for.value;
    now.last = ghost.durable.last().value;
    now.stable = now.last;
  }
  look_at_log(node.running() ? ghost.memory : ghost.durable, number, now.at);
  if (!seen.moments.empty() && seen.moments.back().same(now)) return;
  if (!seen.moments.empty() && seen.moments.back().at == now.at) {
    seen.moments.back() = now;
    return;
  }
  seen.moments.push_back(now);
  if (++changes_ > kRecordedChangesMax) thin_changes();
}

void Recorder::look_at_log(const LogMirror& log, std::size_t number, Instant now) {
  LogMirror& seen = seen_[number];
  if (seen.last() == log.last() && seen.at(seen.last()).prefix == log.at(log.last()).prefix) return;
  Index keep = std::min(seen.last(), log.last());
  while (keep && seen.at(keep).prefix != log.at(keep).prefix) keep = keep.prev();
  LogMoment moment{now, keep.value, {}};
  for (Index i = keep.next(); i <= log.last(); ++i) moment.terms.push_back(log.at(i).term.value);
  record_.nodes[number].logs.push_back(std::move(moment));
  seen = log;
}

void Recorder::sent(Instant now, Endpoint from, Endpoint to, const SharedBytes& bytes,
                    const Fate& fate) {
  MessageMoment message;
  message.sent = now;
  message.from = from;
  message.to = to;
  auto frame = raft::parse_frame(bytes);
  if (!frame) return;
  if (frame->kind == raft::FrameKind::forward || frame->kind == raft::FrameKind::forward_reply) {
    message.kind = "Forward";
    message.text = frame->kind == raft::FrameKind::forward ? "a request for the leader"
                                                           : "the leader's answer to a request";
  } else {
    const auto envelope = raft::decode(*std::move(frame));
    if (!envelope) return;
    message.kind = raft::name_of(envelope->message);
    message.text = describe(*envelope);
    message.idle = is_idle(*envelope);
  }
  message.corrupt = fate.corrupt;
  message.fate = !fate.first    ? MessageMoment::Fate::lost
                 : fate.clogged ? MessageMoment::Fate::held
                                : MessageMoment::Fate::arrives;
  message.arrives = fate.first.value_or(now);
  keep_message(message);
  if (!fate.second || fate.clogged) return;
  message.again = true;
  message.corrupt = false;
  message.arrives = *fate.second;
  keep_message(std::move(message));
}

void Recorder::keep_message(MessageMoment message) {
  record_.messages.push_back(std::move(message));
  if (record_.messages.size() > kRecordedMessagesMax * 2) thin_messages();
}

// First the heartbeats go, then the oldest: what led to the end is what one wants to see.
void Recorder::thin_messages() {
  std::vector<MessageMoment>& all = record_.messages;
  if (all.size() <= kRecordedMessagesMax) return;
  record_.idle_messages_dropped +=
      std::erase_if(all, [](const MessageMoment& message) { return message.idle; });
  if (all.size() <= kRecordedMessagesMax) return;
  const std::size_t extra = all.size() - kRecordedMessagesMax;
  record_.messages_dropped += extra;
  record_.messages_from = all[extra].sent;
  all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(extra));
}

// Of changes of indexes alone only the last in each stretch of time stays; what a node is, stays.
void Recorder::thin_changes() {
  Duration& grid = record_.indexes_rounded_to;
  while (changes_ > kRecordedChangesMax / 2 && grid < 60s) {
    grid = std::max<Duration>(grid * 2, 1ms);
    changes_ = 0;
    for (Record::OfNode& node : record_.nodes) {
      std::vector<NodeMoment> kept;
      for (const NodeMoment& moment : node.moments) {
        const bool replaces = kept.size() > 1 && kept.back().at / grid == moment.at / grid &&
                              kept.back().same_standing(moment) &&
                              kept[kept.size() - 2].same_standing(kept.back());
        if (replaces) kept.pop_back();
        kept.push_back(moment);
      }
      node.moments = std::move(kept);
      changes_ += node.moments.size();
    }
  }
}

void Recorder::ended(const World& world) {
  record_.end = world.kernel().now;
  record_.lively = world.lively();
  thin_messages();
  for (const Operation& operation : world.kernel().client_checks.operations()) {
    const bool open = operation.outcome == Outcome::open;
    record_.operations.push_back({operation.process, operation.invoked,
                                  open ? record_.end : operation.returned, operation.outcome,
                                  text_of(operation)});
  }
}

}  // namespace raftkv::sim
