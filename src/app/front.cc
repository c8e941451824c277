#include "src/app/front.h"

#include <algorithm>
#include <utility>
#include <variant>

namespace raftkv::app {
namespace {

RequestKind kind_of(const replica::Request& request) {
  if (std::holds_alternative<replica::Write>(request)) return RequestKind::write;
  const auto* read = std::get_if<replica::Read>(&request);
  if (read == nullptr) return RequestKind::administration;
  switch (read->level) {
    case replica::Level::default_:
      return RequestKind::read_default;
    case replica::Level::consistent:
      return RequestKind::read_consistent;
    case replica::Level::stale:
      return RequestKind::read_stale;
  }
  return RequestKind::administration;
}

RequestOutcome outcome_of(const replica::Answer& answer) {
  const auto* failed = std::get_if<replica::Failed>(&answer);
  if (failed == nullptr) return RequestOutcome::ok;
  if (failed->effect == replica::Effect::unknown) return RequestOutcome::unknown;
  return failed->problem == replica::Problem::not_leader ? RequestOutcome::not_leader
                                                         : RequestOutcome::refused;
}

}  // namespace

void Front::attach(replica::Host& host, http::Server& server) {
  host_ = &host;
  server_ = &server;
}

void Front::submit(replica::Ticket ticket, replica::Request request) {
  begun_.emplace(ticket.value, Begun{.kind = kind_of(request),
                                     .at = clock_.now(),
                                     .backup = std::holds_alternative<replica::Barrier>(request)});
  host_->submit(ticket, std::move(request));
}

void Front::respond(replica::Ticket ticket, replica::Reply reply) {
  bool backup = false;
  if (const auto begun = begun_.find(ticket.value); begun != begun_.end()) {
    backup = begun->second.backup && std::holds_alternative<replica::ReadResult>(reply.answer);
    metrics_.request_done(begun->second.kind, outcome_of(reply.answer),
                          clock_.now() - begun->second.at);
    begun_.erase(begun);
  }
  backup ? begin_backup(ticket, std::move(reply)) : server_->respond(ticket, std::move(reply));
}

// What was asked for has been applied: the view that is opened now shows it, and perhaps more.
void Front::begin_backup(replica::Ticket ticket, replica::Reply reply) {
  backups_.open([this, ticket, reply = std::move(reply)](Result<Backups::Opened> opened) mutable {
    if (opened) {
      reply.index = opened->applied;
      return server_->respond(ticket, std::move(reply), std::move(opened->body));
    }
    const bool full = opened.error().code == ErrorCode::exhausted;
    reply.answer =
        replica::Failed{.problem = full ? replica::Problem::busy : replica::Problem::not_ready,
                        .effect = replica::Effect::not_applied,
                        .detail = opened.error().message};
    server_->respond(ticket, std::move(reply));
  });
}

http::NodeSummary Front::summary() {
  const raft::Raft& raft = host_->raft();
  const raft::Member* leader = raft.configuration().find(raft.leader());
  return {.node = host_->status().name,
          .index = host_->applied().applied,
          .term = raft.current_term(),
          .leader = leader != nullptr ? leader->name : std::string()};
}

std::string Front::metrics() {
  const raft::Raft& raft = host_->raft();
  const raft::Configuration& configuration = raft.configuration();
  const http::ServerStats& http = server_->stats();
  const net::Stats peers = network_.stats();
  const replica::NodeStatus status = host_->status();
  MetricsSnapshot now = {.role = status.role,
                         .term = status.term.value,
                         .commit_index = status.commit_index.value,
                         .applied_index = status.applied_index.value,
                         .first_index = status.first_index.value,
                         .last_index = status.last_index.value,
                         .stable_index = raft.stable_index().value,
                         .open_requests = host_->open_requests(),
                         .voters = configuration.voters.size(),
                         .learners = 0,
                         .peers = {},
                         .http_connections = http.connections_open,
                         .http_requests = http.requests,
                         .http_refused = http.requests_refused,
                         .peer_connections_in = peers.inbound,
                         .peer_connections_out = peers.outbound,
                         .peer_bytes_in = peers.bytes_received,
                         .peer_bytes_out = peers.bytes_sent,
                         .peer_frames_in = peers.frames_received,
                         .peer_frames_out = peers.frames_sent,
                         .peer_frames_dropped = peers.frames_dropped,
                         .peer_refused = peers.refused};
  for (const raft::Member& member : configuration.members)
    now.learners += configuration.is_learner(member.id);
  for (const raft::PeerStatus& peer : raft.peers(clock_.now())) {
    const raft::Member* member = configuration.find(peer.id);
    if (member == nullptr) continue;
    const std::uint64_t last = status.last_index.value;
    now.peers.push_back({member->name, last - std::min(last, peer.match_index.value)});
  }
  return metrics_.text(now);
}

}  // namespace raftkv::app
