#include "src/net/network.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>
#include <map>
#include <utility>
#include <vector>

#include "src/net/address.h"
#include "src/net/events.h"
#include "src/net/inbound.h"
#include "src/net/log_gate.h"
#include "src/net/outbound.h"
#include "src/net/socket_options.h"

namespace raftkv::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// src/raft/wire.h: where a frame says who sent it.
constexpr std::size_t kFromAt = 32;
// How long to wait when the process has no file descriptor left for another connection.
constexpr auto kAcceptPause = 100ms;

raft::MemberId sender_of(const SharedBytes& frame) {
  return raft::MemberId(get_u64(frame.view().data() + kFromAt));
}

std::string name_of(const tcp::endpoint& endpoint) {
  return to_string({.host = endpoint.address().to_string(), .port = endpoint.port()});
}

Result<tcp::endpoint> resolve(asio::io_context& loop, const std::string& address) {
  const auto parsed = parse_host_port(address);
  if (!parsed) return failure(parsed);
  error_code error;
  const auto found = tcp::resolver(loop).resolve(parsed->host, std::to_string(parsed->port), error);
  if (error || found.empty()) {
    return failure(ErrorCode::not_found, fmt::format("address {}: its host cannot be resolved ({})",
                                                     address, error.message()));
  }
  return found.begin()->endpoint();
}

Status listen(asio::io_context& loop, tcp::acceptor& acceptor, const std::string& address) {
  const auto resolved = resolve(loop, address);
  if (!resolved) return failure(resolved);
  const tcp::endpoint& endpoint = *resolved;
  error_code error;
  const auto ok = [&error](const error_code& result) {
    error = result;
    return !result;
  };
  error_code result;
  acceptor.open(endpoint.protocol(), result);
  if (ok(result)) acceptor.set_option(tcp::acceptor::reuse_address(true), result);
  if (ok(result)) acceptor.bind(endpoint, result);
  if (ok(result)) acceptor.listen(tcp::acceptor::max_listen_connections, result);
  if (ok(result)) return {};
  const bool taken = error == asio::error::address_in_use;
  return failure(ErrorCode::unavailable,
                 fmt::format("address {}: {}", address,
                             taken ? "another process listens there" : error.message()));
}

}  // namespace

class Network::Impl : public OutboundEvents,
                      public InboundEvents,
                      public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& loop, const Options& options, Prng prng)
      : loop_(loop),
        acceptor_(loop),
        accept_pause_(loop),
        sweep_(loop),
        options_(options),
        prng_(prng) {}

  Status open(const std::string& address) { return listen(loop_, acceptor_, address); }

  void start(Handlers handlers) {
    handlers_ = std::move(handlers);
    accept();
  }

  void close();
  void send(const replica::PeerAddress& to, raft::Frame frame);
  void keep(std::span<const replica::PeerAddress> peers);
  void flush();
  void poll();

  std::string local_address() const {
    error_code error;
    return name_of(acceptor_.local_endpoint(error));
  }
  Stats stats() const {
    Stats all = stats_;
    for (const auto& [peer, connection] : outbound_) all.queued_bytes += connection->queued_bytes();
    return all;
  }

 private:
  void outbound_connected(raft::MemberId peer) override;
  void outbound_failed(raft::MemberId peer, const error_code& why, News news) override;
  Status inbound_frame(Inbound& connection, SharedBytes frame) override;
  void inbound_closed(Inbound& connection, const error_code& why) override;
  void inbound_refused(Inbound& connection, const Error& why) override;

  void accept();
  void on_accept(const error_code& error, tcp::socket socket);
  void admit(tcp::socket socket);
  void identify(Inbound& connection, raft::MemberId member);
  void forget(Inbound& connection);
  void say_refused(const std::string& remote, std::string_view why);

  Outbound& outbound(const replica::PeerAddress& to);
  void sweep_later();
  void sweep();
  void tell(raft::MemberId peer, raft::PeerEvent event);

  asio::io_context& loop_;
  tcp::acceptor acceptor_;
  asio::steady_timer accept_pause_;
  asio::steady_timer sweep_;
  const Options options_;
  Prng prng_;
  Handlers handlers_;
  Stats stats_;
  bool closed_ = false;

  std::map<raft::MemberId, std::shared_ptr<Outbound>> outbound_;
  // In the order in which they came. Strangers have sent no frame yet.
  std::list<std::shared_ptr<Inbound>> strangers_;
  std::map<raft::MemberId, std::shared_ptr<Inbound>> inbound_;
  // Reused: what happens to a connection may take it out of the maps.
  std::vector<std::shared_ptr<Outbound>> flushing_;
  std::vector<std::shared_ptr<Inbound>> polling_;
  LogGate refused_gate_{5, 10s};
  LogGate accept_gate_{1, 10s};
};

void Network::Impl::close() {
  closed_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  accept_pause_.cancel();
  sweep_.cancel();
  for (const auto& [peer, connection] : outbound_) connection->close();
  for (const auto& [peer, connection] : inbound_) connection->close();
  for (const auto& connection : strangers_) connection->close();
  outbound_.clear();
  inbound_.clear();
  strangers_.clear();
  stats_.inbound = 0;
}

// --- outbound ---

void Network::Impl::send(const replica::PeerAddress& to, raft::Frame frame) {
  if (!closed_) outbound(to).send(std::move(frame));
}

void Network::Impl::keep(std::span<const replica::PeerAddress> peers) {
  if (closed_) return;
  std::map<raft::MemberId, bool> kept;
  for (const auto& peer : peers) {
    outbound(peer).set_kept(true);
    kept[peer.member] = true;
  }
  for (const auto& [peer, connection] : outbound_) {
    if (!kept.contains(peer)) connection->set_kept(false);
  }
  sweep_later();
}

void Network::Impl::flush() {
  for (const auto& [peer, connection] : outbound_) {
    if (connection->has_planned_flush()) flushing_.push_back(connection);
  }
  for (const auto& connection : flushing_) connection->flush_now();
  flushing_.clear();
}

// The connection to a peer; a new one if the peer has moved.
Outbound& Network::Impl::outbound(const replica::PeerAddress& to) {
  std::shared_ptr<Outbound>& connection = outbound_[to.member];
  const bool kept = connection != nullptr && connection->kept();
  if (connection != nullptr && connection->address() != to.address) {
    connection->close();
    connection.reset();
  }
  if (connection == nullptr) {
    connection = std::make_shared<Outbound>(loop_, to.member, to.address, options_,
                                            prng_.split(prng_.next()), *this, stats_);
    connection->set_kept(kept);
    sweep_later();
  }
  return *connection;
}

void Network::Impl::sweep_later() {
  sweep_.expires_after(options_.unkept_idle);
  sweep_.async_wait([self = shared_from_this()](const error_code& error) {
    if (!error && !self->closed_) self->sweep();
  });
}

// Closes connections to those who are no members and were not talked to for a while.
void Network::Impl::sweep() {
  const auto now = std::chrono::steady_clock::now();
  std::size_t unkept = 0;
  for (auto it = outbound_.begin(); it != outbound_.end();) {
    Outbound& connection = *it->second;
    const bool over = !connection.kept() && ++unkept > options_.unkept_max;
    if (connection.kept() || (!over && now - connection.last_used() < options_.unkept_idle)) {
      ++it;
      continue;
    }
    connection.close();
    it = outbound_.erase(it);
    --unkept;
  }
  if (unkept > 0) sweep_later();
}

void Network::Impl::outbound_connected(raft::MemberId peer) {
  spdlog::debug("event=peer_connected direction=out member={} address={}", peer.value,
                outbound_[peer]->address());
  tell(peer, raft::PeerEvent::connected);
}

void Network::Impl::outbound_failed(raft::MemberId peer, const error_code& why, News news) {
  if (news.failing) {
    spdlog::info("event=peer_unreachable direction=out member={} address={} reason=\"{}\"",
                 peer.value, outbound_[peer]->address(), why.message());
  }
  if (news.gone) tell(peer, raft::PeerEvent::disconnected);
}

// --- inbound ---

void Network::Impl::accept() {
  acceptor_.async_accept([self = shared_from_this()](const error_code& error, tcp::socket socket) {
    if (!self->closed_) self->on_accept(error, std::move(socket));
  });
}

void Network::Impl::on_accept(const error_code& error, tcp::socket socket) {
  if (!error) {
    admit(std::move(socket));
    return accept();
  }
  if (accept_gate_.pass(std::chrono::steady_clock::now())) {
    spdlog::warn("event=accept_failed port=raft reason=\"{}\"", error.message());
  }
  accept_pause_.expires_after(kAcceptPause);
  accept_pause_.async_wait([self = shared_from_this()](const error_code& cancelled) {
    if (!cancelled && !self->closed_) self->accept();
  });
}

void Network::Impl::admit(tcp::socket socket) {
  const auto connection = std::make_shared<Inbound>(std::move(socket), options_, *this, stats_);
  if (stats_.inbound >= options_.inbound_max && strangers_.empty()) {
    ++stats_.refused;
    say_refused(connection->remote(), "too many connections");
    return connection->close();
  }
  if (strangers_.size() >= options_.strangers_max || stats_.inbound >= options_.inbound_max) {
    const auto oldest = strangers_.front();
    ++stats_.refused;
    say_refused(oldest->remote(), "said nothing, and others wait");
    oldest->close();
    forget(*oldest);
  }
  strangers_.push_back(connection);
  ++stats_.inbound;
  connection->start();
}

void Network::Impl::poll() {
  for (const auto& [member, connection] : inbound_) polling_.push_back(connection);
  for (const auto& connection : polling_) connection->poll();
  polling_.clear();
}

Status Network::Impl::inbound_frame(Inbound& connection, SharedBytes frame) {
  const raft::MemberId from = sender_of(frame);
  if (auto taken = handlers_.receive(std::move(frame)); !taken) return taken;
  if (!closed_ && !connection.member() && from) identify(connection, from);
  return {};
}

void Network::Impl::identify(Inbound& connection, raft::MemberId member) {
  connection.identify(member);
  const auto self = connection.shared_from_this();
  std::erase(strangers_, self);
  std::shared_ptr<Inbound>& known = inbound_[member];
  if (known != nullptr) {  // its process has made a new one: the old one is dead or unused
    known->close();
    --stats_.inbound;
  }
  known = self;
  if (const auto found = outbound_.find(member); found != outbound_.end()) found->second->hurry();
  tell(member, raft::PeerEvent::connected);
}

void Network::Impl::forget(Inbound& connection) {
  --stats_.inbound;
  if (connection.member()) {
    inbound_.erase(connection.member());
  } else {
    std::erase(strangers_, connection.shared_from_this());
  }
}

void Network::Impl::inbound_closed(Inbound& connection, const error_code& why) {
  const raft::MemberId member = connection.member();
  forget(connection);
  if (!member) return;
  spdlog::debug("event=peer_disconnected direction=in member={} reason=\"{}\"", member.value,
                why.message());
  if (process_gone(why)) tell(member, raft::PeerEvent::disconnected);
}

void Network::Impl::inbound_refused(Inbound& connection, const Error& why) {
  say_refused(connection.remote(), why.message);
  forget(connection);
}

void Network::Impl::say_refused(const std::string& remote, std::string_view why) {
  const auto kept_back = refused_gate_.pass(std::chrono::steady_clock::now());
  if (!kept_back) return;
  spdlog::warn("event=connection_refused port=raft remote={} reason=\"{}\" not_logged={}", remote,
               why, *kept_back);
}

void Network::Impl::tell(raft::MemberId peer, raft::PeerEvent event) {
  if (handlers_.peer_event) handlers_.peer_event(peer, event);
}

// --- the handle ---

Result<std::unique_ptr<Network>> Network::open(asio::io_context& loop, const std::string& address,
                                               const Options& options, Prng prng) {
  auto impl = std::make_shared<Impl>(loop, options, prng);
  if (auto opened = impl->open(address); !opened) return failure(opened);
  return std::unique_ptr<Network>(new Network(std::move(impl)));
}

Status can_listen(asio::io_context& loop, const std::string& address) {
  tcp::acceptor acceptor(loop);
  return listen(loop, acceptor, address);
}

Network::Network(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Network::~Network() {
  close();
}
void Network::start(Handlers handlers) {
  impl_->start(std::move(handlers));
}
void Network::close() {
  impl_->close();
}
void Network::send(const replica::PeerAddress& to, raft::Frame frame) {
  impl_->send(to, std::move(frame));
}
void Network::keep(std::span<const replica::PeerAddress> peers) {
  impl_->keep(peers);
}
void Network::flush() {
  impl_->flush();
}
void Network::poll() {
  impl_->poll();
}
std::string Network::local_address() const {
  return impl_->local_address();
}
Stats Network::stats() const {
  return impl_->stats();
}

}  // namespace raftkv::net
