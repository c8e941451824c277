#include "sim/report/words.h"

#include <fmt/format.h>

#include <array>

namespace raftkv::sim {
namespace {

std::string name_of(const Who& who) {
  switch (who.kind) {
    case Who::Kind::none:
      return "any node";
    case Who::Kind::node:
      return fmt::format("n{}", who.number);
    case Who::Kind::leader:
      return "the leader";
    case Who::Kind::follower:
      return "a follower";
    case Who::Kind::deposed:
      return "the deposed leader";
    case Who::Kind::majority:
      return "the majority's side";
    case Who::Kind::minority:
      return "the minority's side";
  }
  return {};
}

std::string percent(std::uint64_t ppm) {
  return fmt::format("{:g} %", static_cast<double>(ppm) / 10'000);
}

std::string explain_operation(const Action& action) {
  std::string text = action.client != 0 ? fmt::format("client {} ", action.client) : "a client ";
  if (action.verb == Verb::get) {
    text += fmt::format("reads {} ({})", action.pairs[0].first,
                        action.level == Level::consistent ? "consistent: never old"
                        : action.level == Level::stale    ? "stale: from any node"
                                                          : "default: from who leads");
  } else if (action.verb == Verb::del) {
    text += "deletes " + action.pairs[0].first;
  } else {
    text += "writes";
    for (const auto& [key, value] : action.pairs) text += fmt::format(" {}={}", key, value);
  }
  if (action.other.kind != Who::Kind::none) text += " through " + name_of(action.other);
  return text;
}

std::string explain_weather(const Action& action) {
  if (action.count + action.count2 + action.count3 == 0)
    return "from now on no message is lost, doubled or damaged";
  std::string text;
  const auto add = [&](std::uint64_t ppm, std::string_view what) {
    if (ppm > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", percent(ppm), what);
  };
  add(action.count, "are lost");
  add(action.count2, "come twice");
  add(action.count3, "are damaged");
  return "from now on, of messages " + text;
}

std::string explain_disk(const Action& action) {
  const std::string who = name_of(action.who);
  if (action.count == 0) return who + "'s disk stalls: no write ends";
  if (action.count == 1) return who + "'s disk is as fast as ever";
  return fmt::format("{}'s disk is {} times slower", who, action.count);
}

std::string explain_split(const Action& action) {
  std::string names;
  for (const Who& who : action.group) names += (names.empty() ? "" : ", ") + name_of(who);
  return names + " and the others cannot reach each other";
}

std::string explain_link(const Action& action) {
  const std::string who = name_of(action.who);
  const std::string other = name_of(action.other);
  if (action.verb == Verb::clog)
    return fmt::format("messages from {} to {} are held back", who, other);
  if (action.verb == Verb::reset)
    return fmt::format("the connections between {} and {} break", who, other);
  if (action.who.kind == Who::Kind::none) return "all messages that were held back go on";
  return fmt::format("messages held back from {} to {} go on", who, other);
}

constexpr std::array kInvariants = {
    InvariantWords{"I1", "Election safety", "a term has at most one leader"},
    InvariantWords{"I2", "Leader append-only",
                   "a leader's log only grows; a follower drops an entry only for a conflicting "
                   "one of its term's leader"},
    InvariantWords{"I3", "Log matching",
                   "two logs with the same term at an index are the same through it"},
    InvariantWords{"I4", "Leader completeness",
                   "a new leader has every entry that an earlier one committed"},
    InvariantWords{"I5", "State machine safety",
                   "all nodes apply the same entries in the same order, each once"},
    InvariantWords{"I6", "Commit is earned",
                   "a leader commits an entry of its own term that a quorum holds on disk; a "
                   "follower commits only what is committed"},
    InvariantWords{"I7", "Acknowledged is durable",
                   "an acknowledgement leaves only when the disk holds what it says"},
    InvariantWords{"I8", "Committed is for ever", "a committed entry leaves no disk and no log"},
    InvariantWords{"I9", "Hard state",
                   "on disk the term never falls and the vote is given once in a term, before any "
                   "message says it"},
    InvariantWords{"I10", "Snapshots and indexes",
                   "applied is at most commit, commit at most the last entry; a snapshot is what "
                   "the log says"},
    InvariantWords{"I11", "Progress",
                   "what a leader believes of a follower's log is true on that follower's disk"},
    InvariantWords{"I12", "Stable", "what a node takes for durable is on its disk"},
    InvariantWords{"I13", "Reads",
                   "a consistent read sees every write acknowledged before it; the whole history "
                   "is linearizable"},
    InvariantWords{"I15", "Configurations",
                   "one change of members at a time, each after an entry of the leader's own term "
                   "is committed; quorums of neighbours meet"},
    InvariantWords{"I16", "Votes", "a leader was elected by a quorum of votes really given"},
    InvariantWords{"I17", "Roles", "only voters campaign; a removed leader steps down"},
    InvariantWords{"I18", "Messages",
                   "entries are contiguous, terms do not fall, damaged frames are refused"},
    InvariantWords{"I19", "Lost promises",
                   "a node that lost a promise neither votes nor campaigns"},
    InvariantWords{"I20", "Recovered state", "a recovered state is what the log says"},
    InvariantWords{"I21", "Recovery",
                   "a start finds all that was promised; where a disk was damaged it may say that "
                   "it does not"},
};

}  // namespace

std::string explain(const Action& action) {
  if (is_operation(action.verb)) return explain_operation(action);
  const std::string who = name_of(action.who);
  switch (action.verb) {
    case Verb::kill:
      return who + "'s process dies; its disk keeps what was written";
    case Verb::power:
      return who + " loses power; of what was not synced a part survives";
    case Verb::strike:
      return fmt::format("{} loses power within its next log write, after {} disk operations", who,
                         action.count);
    case Verb::start:
      return who + " starts; without an identity it joins";
    case Verb::pause:
      return who + " stops running, its clock does not";
    case Verb::resume:
      return who + " runs again";
    case Verb::wipe:
      return who + " dies and loses its disk";
    case Verb::damage:
      return who + " loses power and its state; its log is whole";
    case Verb::fail_syncs:
      return who + "'s disk fails every sync";
    case Verb::fail_reads:
      return who + "'s disk fails every read";
    case Verb::full:
      return fmt::format("{}'s disk has room for {} more bytes", who, action.count);
    case Verb::mend:
      return who + "'s disk is well again";
    case Verb::flip:
      return who + " loses power; a bit in one of its files is another";
    case Verb::zero:
      return who + " loses power; a page of one of its files is zero";
    case Verb::chop:
      return who + " loses power; one of its files is shorter";
    case Verb::lose:
      return who + " loses power and one of its files";
    case Verb::isolate:
      return who + " and the others cannot reach each other";
    case Verb::split:
      return explain_split(action);
    case Verb::mute:
      return "nothing that " + who + " says arrives";
    case Verb::deafen:
      return "nothing arrives at " + who;
    case Verb::bridge:
      return "two halves that only " + who + " connects";
    case Verb::ring:
      return "each node reaches only its neighbours";
    case Verb::cut_clients:
      return "clients cannot reach " + who;
    case Verb::heal:
      return action.label == 0 ? "all cuts are healed"
                               : fmt::format("the cut #{} is healed", action.label);
    case Verb::clog:
    case Verb::unclog:
    case Verb::reset:
      return explain_link(action);
    case Verb::disk:
      return explain_disk(action);
    case Verb::weather:
      return explain_weather(action);
    case Verb::remove:
      return "an administrator removes " + who;
    case Verb::transfer:
      return "an administrator asks to hand leadership to " + who;
    default:
      return {};
  }
}

std::span<const InvariantWords> invariant_words() {
  return kInvariants;
}

}  // namespace raftkv::sim
