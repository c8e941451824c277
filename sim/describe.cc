#include "sim/describe.h"

#include <fmt/format.h>

#include <variant>

namespace raftkv::sim {
namespace {

struct MessageText {
  std::string operator()(const raft::PreVote& m) const {
    return fmt::format("next_term={} last={}/{}", m.next_term.value, m.last_log_index.value,
                       m.last_log_term.value);
  }
  std::string operator()(const raft::PreVoteReply& m) const {
    return fmt::format("next_term={} {}", m.next_term.value,
                       m.vote_granted ? "granted" : "refused");
  }
  std::string operator()(const raft::RequestVote& m) const {
    return fmt::format("last={}/{}{}", m.last_log_index.value, m.last_log_term.value,
                       m.leadership_transfer ? " transfer" : "");
  }
  std::string operator()(const raft::RequestVoteReply& m) const {
    return m.vote_granted ? "granted" : "refused";
  }
  std::string operator()(const raft::AppendEntries& m) const {
    return fmt::format("prev={}/{} entries={} commit={} round={}", m.prev_log_index.value,
                       m.prev_log_term.value, m.entries.size(), m.leader_commit.value,
                       m.read_round.value);
  }
  std::string operator()(const raft::AppendEntriesReply& m) const {
    std::string text = fmt::format("match={} round={}", m.match_index.value, m.read_round.value);
    if (m.conflict) {
      text += fmt::format(" conflict prev={} hint={}/{}", m.conflict->prev_log_index.value,
                          m.conflict->hint_index.value, m.conflict->hint_term.value);
    }
    if (m.snapshot_wanted) text += " snapshot_wanted";
    return text;
  }
  std::string operator()(const raft::TimeoutNow& /*m*/) const { return {}; }
  std::string operator()(const raft::InstallSnapshot& m) const {
    return fmt::format("snapshot={}/{} stream={} chunk={}{}", m.snapshot.last_included_index.value,
                       m.snapshot.last_included_term.value, m.stream.value, m.chunk,
                       m.last ? " last" : "");
  }
  std::string operator()(const raft::InstallSnapshotReply& m) const {
    return fmt::format("stream={} next_chunk={} installed={}{}", m.stream.value, m.next_chunk,
                       m.installed.value, m.failed ? " failed" : "");
  }
};

struct CoreEventText {
  std::string operator()(const raft::RoleChanged& e) const {
    return fmt::format("is {} in term {}: {}", raft::to_string(e.role), e.term.value, e.reason);
  }
  std::string operator()(const raft::LeaderChanged& e) const {
    return fmt::format("follows member {} in term {}", e.leader.value, e.term.value);
  }
  std::string operator()(const raft::Committed& e) const {
    return fmt::format("commits {}", e.commit_index.value);
  }
  std::string operator()(const raft::Truncated& e) const {
    return fmt::format("drops entries from {} on", e.from.value);
  }
  std::string operator()(const raft::ConfigurationChanged& e) const {
    return fmt::format("has configuration {}: {}", e.index.value, describe(e.configuration));
  }
  std::string operator()(const raft::TransferEnded& e) const {
    return fmt::format("ends the transfer to member {}: {}", e.target.value,
                       e.done ? "done" : "failed");
  }
  std::string operator()(const raft::PromiseRepaired& /*e*/) const {
    return "has its promise repaired";
  }
  std::string operator()(const raft::SnapshotInstalled& e) const {
    return fmt::format("installs a snapshot at {}/{}", e.index.value, e.term.value);
  }
  std::string operator()(const raft::SnapshotSent& e) const {
    return fmt::format("has sent member {} a snapshot at {}", e.peer.value, e.index.value);
  }
  std::string operator()(const raft::LogCutTo& e) const {
    return fmt::format("cuts its log before {}", e.first.value);
  }
};

struct EventText {
  std::string operator()(const raft::Event& e) const { return std::visit(CoreEventText{}, e); }
  std::string operator()(const replica::Applied& e) const {
    return fmt::format("has applied {}", e.index.value);
  }
  std::string operator()(const replica::Stopped& e) const { return "stops: " + e.error.message; }
  std::string operator()(const replica::FrameRefused& e) const {
    return "refuses a frame: " + e.reason;
  }
  std::string operator()(const replica::ChunkSent& /*e*/) const { return {}; }
  std::string operator()(const replica::ChunkReceived& /*e*/) const { return {}; }
  std::string operator()(const replica::Marked& e) const {
    std::string text;
    e.marks.for_each([&](Mark mark) {
      text += fmt::format("{}{}", text.empty() ? "marks: " : ", ", text_of(mark).name);
    });
    return text;
  }
  std::string operator()(const replica::SnapshotFailed& e) const { return "gives up: " + e.reason; }
};

}  // namespace

std::string describe(const raft::Envelope& envelope) {
  return fmt::format("{} term={} {}", raft::name_of(envelope.message), envelope.term.value,
                     std::visit(MessageText{}, envelope.message));
}

std::string describe(const raft::Configuration& configuration) {
  std::string text;
  for (const raft::Member& member : configuration.members) {
    const bool in_new = raft::contains(configuration.voters, member.id);
    const bool in_old = raft::contains(configuration.outgoing, member.id);
    const char* part = configuration.joint() ? (in_new && in_old ? "both"
                                                : in_new         ? "new"
                                                : in_old         ? "old"
                                                                 : "learner")
                                             : (in_new ? "voter" : "learner");
    text += fmt::format("{}{}={}:{}", text.empty() ? "" : " ", member.id.value, member.name, part);
  }
  return text;
}

std::string describe(const replica::Event& event) {
  return std::visit(EventText{}, event);
}

}  // namespace raftkv::sim
