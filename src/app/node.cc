#include "src/app/node.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "src/app/logs.h"
#include "src/app/random_id.h"
#include "src/app/version.h"
#include "src/storage/staggered.h"

namespace raftkv::app {
namespace {

// How long open client connections may take to end once the node has stopped.
constexpr Duration kDrainTime = 1s;

// Where the log is to be short, too, a sync of the state has something to do. (Before members
// differ in it: up to a quarter less.)
constexpr std::size_t kStateSyncBytesMin = 8u << 20;

http::ServerOptions server_options(const ServeOptions& options) {
  http::ServerOptions server;
  server.router.value_size_max = options.value_size_max;
  server.router.version = kVersion;
  return server;
}

replica::HostOptions host_options(const ServeOptions& options, const storage::OpenedNode& opened) {
  replica::HostOptions host;
  host.raft.election_timeout = options.election_timeout;
  host.raft.heartbeat_interval = options.heartbeat_interval;
  host.raft.log_kept_bytes = options.log_kept_bytes;
  host.raft.log_cut_step_bytes = std::min(host.raft.log_cut_step_bytes, options.log_kept_bytes);
  // The log is kept through the last sync of the state: no more of it for that than is kept anyway.
  host.state_sync_bytes = storage::staggered(
      std::min(host.state_sync_bytes, std::max(kStateSyncBytesMin, options.log_kept_bytes)),
      opened.identity.member);
  host.state_sync_interval = storage::staggered(host.state_sync_interval, opened.identity.member);
  host.name = opened.names.name;
  host.http_address = options.advertise_http;
  host.raft_address = options.advertise_raft;
  host.forward = options.forward;
  host.request_timeout = options.request_timeout;
  return host;
}

}  // namespace

Node::Node(boost::asio::io_context& context, const ServeOptions& options,
           storage::OpenedNode& opened, std::unique_ptr<net::Network> network)
    : context_(context),
      loop_(context, options.busy_poll),
      options_(options),
      opened_(opened),
      clock_(loop_),
      network_(std::move(network)),
      backups_(loop_, clock_, *opened.state_store, opened.identity.cluster, metrics_),
      front_(clock_, metrics_, *network_, backups_),
      server_(context, server_options(options), front_),
      event_log_(metrics_, [this](const Error& why) { disk_failed(why); }),
      log_store_(*opened.log_store, metrics_),
      signals_(context, SIGTERM, SIGINT),
      log_worker_(loop_, "log"),
      apply_worker_(loop_, "apply"),
      read_worker_(loop_, "read"),
      upkeep_worker_(loop_, "upkeep") {
  const replica::HostPorts ports = {.clock = clock_,
                                    .network = *network_,
                                    .log_worker = log_worker_,
                                    .apply_worker = apply_worker_,
                                    .read_worker = read_worker_,
                                    .upkeep_worker = upkeep_worker_,
                                    .responder = front_,
                                    .observer = event_log_,
                                    .log_store = log_store_,
                                    .state_store = *opened.state_store};
  // The Host asks for turns while it is made; they come when the loop runs.
  clock_.attach([this] { host_->expire(); });
  loop_.attach([this] { turn(); }, [this] { network_->poll(); });
  host_ = std::make_unique<replica::Host>(host_options(options, opened), opened.identity,
                                          std::move(opened.recovered), opened.state, ports,
                                          Prng(random_id()));
  event_log_.know(host_->raft().configuration());
  front_.attach(*host_, server_);
}

Node::~Node() = default;

Status Node::start() {
  if (auto listening = server_.listen(options_.http); !listening) return listening;
  network_->start(
      {.receive = [this](SharedBytes frame) { return host_->receive(std::move(frame)); },
       .peer_event = [this](raft::MemberId peer,
                            raft::PeerEvent event) { host_->peer_event(peer, event); }});
  wait_for_signal();
  const raft::Identity& identity = opened_.identity;
  spdlog::info("event=started id={} member={} cluster={} incarnation={} http={} raft={} version={}",
               opened_.names.name, identity.member.value, to_hex(identity.cluster.value),
               identity.incarnation.value, options_.http, options_.raft, kVersion);
  if (!opened_.state_damage.empty()) {
    spdlog::warn("event=state_replaced reason={} action=\"{}\"", quoted(opened_.state_damage),
                 host_->raft().state_lost() ? "another member has to send a snapshot"
                                            : "the log rebuilds it");
  }
  return {};
}

int Node::run() {
  loop_.run();
  if (failed_) {
    // A job may hang in the failed disk for ever: nobody waits for it.
    spdlog::default_logger()->flush();
    std::_Exit(kNotFound);
  }
  log_worker_.stop();
  apply_worker_.stop();
  read_worker_.stop();
  upkeep_worker_.stop();
  spdlog::info("event=stopped id={}", opened_.names.name);
  return kDone;
}

// Peers first: their disks and this node's answers to clients then work at the same time.
void Node::turn() {
  host_->turn();
  network_->flush();
  server_.flush();
}

void Node::wait_for_signal() {
  signals_.async_wait([this](const boost::system::error_code& error, int signal) {
    if (error) return;
    stop(signal);
    wait_for_signal();
  });
}

void Node::stop(int signal) {
  const char* name = signal == SIGTERM ? "SIGTERM" : "SIGINT";
  if (std::exchange(stopping_, true)) {
    spdlog::warn("event=stopped_at_once signal={}", name);
    spdlog::default_logger()->flush();
    std::_Exit(128 + signal);  // what was acknowledged is durable; there is nothing else to save
  }
  spdlog::info("event=stopping signal={}", name);
  host_->stop(options_.stop_timeout, [this] { server_.stop(kDrainTime, [this] { finish(); }); });
}

void Node::disk_failed(const Error& why) {
  if (std::exchange(failed_, true)) return;
  stopping_ = true;
  spdlog::critical(
      "event=disk_failed reason={} action=\"this node takes no further part; repair its disk or "
      "make "
      "room, then start it again\"",
      quoted(why.message));
  // Not from within the Host, which has just reported it.
  boost::asio::post(context_, [this] {
    network_->close();
    server_.stop(kDrainTime, [this] { finish(); });
  });
}

void Node::finish() {
  network_->close();
  signals_.cancel();
  context_.stop();
}

}  // namespace raftkv::app
