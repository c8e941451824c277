#include "src/raft/message.h"

namespace raftkv::raft {
namespace {

struct Namer {
  const char* operator()(const PreVote&) const { return "PreVote"; }
  const char* operator()(const PreVoteReply&) const { return "PreVoteReply"; }
  const char* operator()(const RequestVote&) const { return "RequestVote"; }
  const char* operator()(const RequestVoteReply&) const { return "RequestVoteReply"; }
  const char* operator()(const AppendEntries&) const { return "AppendEntries"; }
  const char* operator()(const AppendEntriesReply&) const { return "AppendEntriesReply"; }
  const char* operator()(const TimeoutNow&) const { return "TimeoutNow"; }
  const char* operator()(const InstallSnapshot&) const { return "InstallSnapshot"; }
  const char* operator()(const InstallSnapshotReply&) const { return "InstallSnapshotReply"; }
};

}  // namespace

bool is_reply(const Message& message) {
  return std::holds_alternative<PreVoteReply>(message) ||
         std::holds_alternative<RequestVoteReply>(message) ||
         std::holds_alternative<AppendEntriesReply>(message) ||
         std::holds_alternative<InstallSnapshotReply>(message);
}

const char* name_of(const Message& message) {
  return std::visit(Namer{}, message);
}

}  // namespace raftkv::raft
