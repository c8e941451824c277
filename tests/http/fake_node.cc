#include "tests/http/fake_node.h"

#include <sstream>

#include "src/base/check.h"
#include "src/http/problem.h"
#include "src/kv/command.h"

namespace raftkv::http {
namespace {

replica::Problem problem_of(const std::string& code) {
  for (int i = 0; i <= static_cast<int>(replica::Problem::internal); ++i) {
    if (code_of(static_cast<replica::Problem>(i)) == code) return static_cast<replica::Problem>(i);
  }
  check_failed(__FILE__, __LINE__, "a problem", code);
}

replica::Members some_members() {
  replica::MemberInfo leader{.name = "node01",
                             .member = raft::MemberId(1),
                             .voter = true,
                             .http_address = "127.0.0.1:8091",
                             .raft_address = "127.0.0.1:8089",
                             .leader = true,
                             .match = raft::Index(9),
                             .lag = 0,
                             .last_contact_ms = 0};
  replica::MemberInfo learner{.name = "node02",
                              .member = raft::MemberId(7),
                              .voter = false,
                              .http_address = "127.0.0.1:8093",
                              .raft_address = "127.0.0.1:8092",
                              .leader = false,
                              .match = std::nullopt,
                              .lag = std::nullopt,
                              .last_contact_ms = std::nullopt};
  return {raft::Index(7), {leader, learner}};
}

}  // namespace

void FakeNode::set_mood(const std::string& line) {
  std::istringstream words(line);
  std::string mood;
  std::string first;
  std::string second;
  words >> mood >> first >> second;
  if (mood == "leads") {
    failure_.reset();
    holding_ = false;
    misfits_ = false;
    ready_ = true;
    leader_ = replica::LeaderHint{"node01", "127.0.0.1:8091"};
  } else if (mood == "follows") {
    leader_.reset();
    if (first != "nobody") leader_ = replica::LeaderHint{first, second};
    failure_ = replica::Failed{replica::Problem::not_leader, replica::Effect::not_applied,
                               "this node does not lead"};
  } else if (mood == "fails") {
    CHECK(second == "unknown" || second == "not_applied");
    failure_ = replica::Failed{
        problem_of(first),
        second == "unknown" ? replica::Effect::unknown : replica::Effect::not_applied, ""};
  } else if (mood == "holds") {
    holding_ = true;
  } else if (mood == "releases") {
    first == "last" ? release_last() : release();
  } else if (mood == "misfits") {
    misfits_ = true;
  } else {
    CHECK(mood == "unready", line);
    ready_ = false;
  }
}

void FakeNode::release() {
  holding_ = false;
  auto held = std::exchange(held_, {});
  for (auto& [ticket, request] : held) answer_(ticket, reply_to(std::move(request)));
}

void FakeNode::release_last() {
  auto [ticket, request] = std::move(held_.back());
  held_.pop_back();
  answer_(ticket, reply_to(std::move(request)));
}

void FakeNode::submit(replica::Ticket ticket, replica::Request request) {
  ++submitted_;
  if (holding_) {
    held_.emplace_back(ticket, std::move(request));
  } else {
    answer_(ticket, reply_to(std::move(request)));
  }
}

replica::Reply FakeNode::reply_to(replica::Request&& request) {
  const auto* read = std::get_if<replica::Read>(&request);
  const bool stale = read != nullptr && read->level == replica::Level::stale;
  const bool about_itself = std::holds_alternative<replica::GetStatus>(request);
  replica::Reply reply;
  if (misfits_) {
    reply.answer = replica::Removed{raft::Index(1)};
  } else if (failure_ && !about_itself && !stale) {
    reply.answer = *failure_;
  } else {
    reply.answer = execute(request);
  }
  reply.node = "node01";
  reply.index = raft::Index(index_);
  reply.term = raft::Term(3);
  reply.leader = leader_;
  if (stale) reply.last_contact_ms = 12;
  return reply;
}

NodeSummary FakeNode::summary() {
  return {"node01", raft::Index(index_), raft::Term(3), leader_ ? leader_->name : ""};
}

replica::Answer FakeNode::execute(replica::Request& request) {
  if (const auto* w = std::get_if<replica::Write>(&request)) return write(w->command);
  if (const auto* r = std::get_if<replica::Read>(&request)) return read(r->key);
  if (std::holds_alternative<replica::Barrier>(request)) return replica::ReadResult{};
  if (const auto* j = std::get_if<replica::Join>(&request)) {
    replica::Members members = some_members();
    members.members[1].name = j->name;
    members.members[1].http_address = j->http_address;
    members.members[1].raft_address = j->raft_address;
    return replica::Joined{raft::ClusterId(0xabc), raft::MemberId(7), members};
  }
  if (const auto* r = std::get_if<replica::Remove>(&request)) {
    if (r->name != "node02") {
      return replica::Failed{replica::Problem::unknown_member, replica::Effect::not_applied, ""};
    }
    return replica::Removed{raft::Index(++index_)};
  }
  if (const auto* t = std::get_if<replica::Transfer>(&request))
    return replica::Transferred{t->name};
  if (std::holds_alternative<replica::GetMembers>(request)) return some_members();
  return status();
}

replica::Answer FakeNode::write(const std::string& command) {
  const auto decoded = kv::decode(std::string_view(command).substr(kv::kCommandHeadroom));
  CHECK(decoded.has_value());
  replica::Written written{raft::Index(++index_), {}};
  if (const auto* set = std::get_if<kv::SetView>(&*decoded)) {
    for (const auto& [key, value] : *set) {
      store_[std::string(key)] = {std::string(value), index_};
    }
  } else {
    const auto& key = std::get<kv::DeleteView>(*decoded).key;
    written.outcome.deleted = store_.erase(std::string(key)) > 0;
  }
  return written;
}

replica::Answer FakeNode::read(const std::string& key) const {
  const auto found = store_.find(key);
  if (found == store_.end()) return replica::ReadResult{};
  return replica::ReadResult{kv::Value{found->second.bytes, found->second.index}};
}

replica::Answer FakeNode::status() const {
  replica::NodeStatus status;
  status.name = "node01";
  status.member = raft::MemberId(1);
  status.cluster = raft::ClusterId(0xabc);
  status.role = "leader";
  status.term = raft::Term(3);
  status.commit_index = status.applied_index = status.last_index = raft::Index(index_);
  status.first_index = raft::Index(1);
  status.digest = 0x1234;
  status.incarnation = raft::Incarnation(2);
  status.uptime_ms = 5000;
  status.ready = ready_;
  status.not_ready = ready_ ? "" : "no leader is known";
  return status;
}

}  // namespace raftkv::http
