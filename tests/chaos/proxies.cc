// Every connection between nodes, and from clients to nodes, goes through one thread of this
// program. Who dials is found by the process that owns the other end (sock_diag(7) and
// /proc/PID/fd): the nodes themselves say nothing that would have to be believed.
//
// A cut takes what is sent: TCP cannot lose bytes within a connection, so a connection that has
// lost some is reset when the link heals, and one that is dialled meanwhile hangs half open until
// then. A lost piece costs what it costs TCP, a timeout of 200 ms that doubles with each loss in a
// row. A throttled link carries one piece after the other, each as long as its bytes take; what
// waits is at most half a second's worth, then the sender waits.
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>

#include "src/base/prng.h"
#include "tests/chaos/ground.h"
#include "tests/chaos/sockaddr.h"
#include "tests/process/cluster.h"

namespace raftkv::chaos {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;  // NOLINT: 500ms reads better than any helper

constexpr std::size_t kQueuedMost = 1u << 20;  // bytes of one direction: then its sender waits
constexpr std::size_t kPieceMost = 65536;
constexpr milliseconds kRetransmission = 200ms;

// The inode of the socket that has `own` as its own end and `other` as its other; 0: none. Asked of
// the kernel for this one pair (sock_diag(7)): a walk through /proc/net/tcp misses entries while
// thousands of others come and go.
std::uint32_t inode_of(const sockaddr_in& own, const sockaddr_in& other) {
  struct {
    nlmsghdr head;
    inet_diag_req_v2 body;
  } request{};
  request.head.nlmsg_len = sizeof(request);
  request.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.head.nlmsg_flags = NLM_F_REQUEST;
  request.body.sdiag_family = AF_INET;
  request.body.sdiag_protocol = IPPROTO_TCP;
  request.body.idiag_states = ~std::uint32_t{0};
  inet_diag_sockid& id = request.body.id;
  id.idiag_sport = own.sin_port;
  id.idiag_src[0] = own.sin_addr.s_addr;
  id.idiag_dport = other.sin_port;
  id.idiag_dst[0] = other.sin_addr.s_addr;
  id.idiag_cookie[0] = id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;

  const int kernel = ::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  if (kernel < 0) return 0;
  alignas(nlmsghdr) char answer[4096];
  const bool asked = ::send(kernel, &request, sizeof(request), 0) == sizeof(request);
  const ssize_t size = asked ? ::recv(kernel, answer, sizeof(answer), 0) : -1;
  ::close(kernel);
  nlmsghdr head{};
  inet_diag_msg found{};
  if (size < static_cast<ssize_t>(NLMSG_HDRLEN + sizeof(found))) return 0;
  std::memcpy(&head, answer, sizeof(head));
  if (head.nlmsg_type != SOCK_DIAG_BY_FAMILY) return 0;
  std::memcpy(&found, answer + NLMSG_HDRLEN, sizeof(found));
  return found.idiag_inode;
}

bool owns_socket(pid_t pid, std::uint32_t inode) {
  const std::string folder = fmt::format("/proc/{}/fd", pid);
  const std::string wanted = fmt::format("socket:[{}]", inode);
  DIR* const open = ::opendir(folder.c_str());
  if (open == nullptr) return false;
  bool found = false;
  while (const dirent* entry = found ? nullptr : ::readdir(open)) {
    char target[64] = {};
    const ssize_t size =
        ::readlink((folder + "/" + entry->d_name).c_str(), target, sizeof(target) - 1);
    found = size > 0 && wanted == target;
  }
  ::closedir(open);
  return found;
}

void reset(int socket) {
  const linger at_once{1, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  ::close(socket);
}

void be_quick(int socket) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

// What goes one way through a connection.
struct Flow {
  struct Piece {
    Clock::time_point due;
    std::string bytes;
  };
  std::size_t from = 0, to = 0;
  int in = -1, out = -1;
  std::deque<Piece> queue = {};
  std::size_t queued = 0;
  Clock::time_point last_due = {};
  bool lost = false;   // bytes are gone: no later ones may arrive
  bool ended = false;  // the sender has closed its side
  bool shut = false;   // and the receiver was told
};

struct Connection {
  int dialler = -1, server = -1;
  bool connecting = true;
  bool lost = false;  // bytes are gone: to be reset when its links are whole
  bool dead = false;
  Flow there, back;
};

struct Listener {
  int socket = -1;
  std::size_t node = 0;
  bool for_clients = false;
};

class Proxies final : public Ground {
 public:
  Proxies(int nodes, std::uint64_t seed)
      : prng_(seed), links_(nodes), wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    pids_.resize(static_cast<std::size_t>(nodes), 0);
    free_from_.assign(links_.cut.size(), std::vector<Clock::time_point>(links_.cut.size()));
    for (int i = 0; i < nodes; ++i) {
      places_.push_back({process::unused_address(), process::unused_address(),
                         process::unused_address(), process::unused_address()});
      listen(places_.back().public_raft, static_cast<std::size_t>(i), false);
      listen(places_.back().public_http, static_cast<std::size_t>(i), true);
    }
    thread_ = std::thread([this] { run(); });
  }
  ~Proxies() override {
    stopping_ = true;
    wake();
    thread_.join();
    for (auto& connection : connections_) close(*connection);
    for (const Listener& listener : listeners_) ::close(listener.socket);
    ::close(wake_);
  }

  std::string name() const override { return "proxy"; }
  Place place(int node) const override { return places_[static_cast<std::size_t>(node)]; }
  std::vector<std::string> prefix(int) const override { return {}; }
  void started(int node, pid_t pid) override {
    const std::lock_guard lock(mutex_);
    pids_[static_cast<std::size_t>(node)] = pid;
  }
  void set(const Links& links) override {
    {
      const std::lock_guard lock(mutex_);
      if (links.bytes_a_second != links_.bytes_a_second) let_go();
      links_ = links;
    }
    wake();
  }
  std::string why_no_delay() const override { return ""; }

 private:
  void wake() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof(one));
  }

  void listen(const Address& address, std::size_t node, bool for_clients) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const sockaddr_in at = to_sockaddr(address);
    const int on = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (::bind(socket, reinterpret_cast<const sockaddr*>(&at), sizeof(at)) != 0 ||
        ::listen(socket, 256) != 0) {
      fmt::print(stderr, "raftkv-chaos: cannot listen on {}\n", address.text());
      std::abort();
    }
    listeners_.push_back({socket, node, for_clients});
  }

  // --- all below on the proxies' thread, with the mutex held ---

  void run() {
    while (!stopping_) {
      std::vector<pollfd> polled;
      int timeout = 1000;
      {
        const std::lock_guard lock(mutex_);
        timeout = prepare(polled);
      }
      ::poll(polled.data(), polled.size(), timeout);
      const std::lock_guard lock(mutex_);
      std::uint64_t ignored = 0;
      while (::read(wake_, &ignored, sizeof(ignored)) > 0) {
      }
      turn(polled);
    }
  }

  // The sockets to wait for: the wake-up, the listeners, then two a connection. Returns for how
  // long.
  int prepare(std::vector<pollfd>& polled) {
    polled.push_back({wake_, POLLIN, 0});
    for (const Listener& listener : listeners_) polled.push_back({listener.socket, POLLIN, 0});
    const auto now = Clock::now();
    auto next = now + 1s;
    for (const auto& connection : connections_) {
      const Connection& c = *connection;
      short dialler = 0;
      short server = 0;
      if (c.connecting) {
        server = POLLOUT;
      } else {
        dialler = events(c.there, c.back, now, next);
        server = events(c.back, c.there, now, next);
      }
      polled.push_back({dialler == 0 ? -1 : c.dialler, dialler, 0});
      polled.push_back({server == 0 || c.server < 0 ? -1 : c.server, server, 0});
    }
    return static_cast<int>(std::chrono::duration_cast<milliseconds>(next - now).count());
  }

  // Of a socket from which `reads` comes and to which `writes` goes.
  [[nodiscard]] short events(const Flow& reads, const Flow& writes, Clock::time_point now,
                             Clock::time_point& next) const {
    short wanted = 0;
    if (!reads.ended && reads.queued < queued_most(reads)) wanted |= POLLIN;
    if (!writes.queue.empty()) {
      const auto due = writes.queue.front().due;
      if (due <= now) {
        wanted |= POLLOUT;
      } else {
        next = std::min(next, due + 1ms);
      }
    }
    return wanted;
  }

  void turn(const std::vector<pollfd>& polled) {
    for (std::size_t i = 0; i < listeners_.size(); ++i) {
      if ((polled[1 + i].revents & POLLIN) != 0) accept(listeners_[i]);
    }
    const std::size_t first = 1 + listeners_.size();
    const std::size_t known = (polled.size() - first) / 2;
    for (std::size_t i = 0; i < known; ++i) {
      Connection& c = *connections_[i];
      const short dialler = polled[first + 2 * i].revents;
      const short server = polled[first + 2 * i + 1].revents;
      if (c.connecting) {
        if (server != 0) connected(c);
        continue;
      }
      if ((dialler & (POLLIN | POLLHUP | POLLERR)) != 0) receive(c, c.there);
      if ((server & (POLLIN | POLLHUP | POLLERR)) != 0) receive(c, c.back);
      if (!c.dead) send(c, c.there);
      if (!c.dead) send(c, c.back);
    }
    for (auto& connection : connections_) judge(*connection);
    std::erase_if(connections_, [](const auto& connection) { return connection->dead; });
  }

  bool is_cut(const Flow& flow) const { return links_.cut[flow.from][flow.to]; }

  // Of a connection that was accepted from `peer`.
  std::size_t dialler_of(int accepted, const sockaddr_in& peer) {
    sockaddr_in own{};
    socklen_t size = sizeof(own);
    ::getsockname(accepted, reinterpret_cast<sockaddr*>(&own), &size);
    const std::uint32_t inode = inode_of(peer, own);
    for (std::size_t i = 0; i < pids_.size() && inode != 0; ++i) {
      if (pids_[i] != 0 && owns_socket(pids_[i], inode)) return i;
    }
    return links_.clients();
  }

  void accept(const Listener& listener) {
    sockaddr_in peer{};
    socklen_t size = sizeof(peer);
    const int socket = ::accept4(listener.socket, reinterpret_cast<sockaddr*>(&peer), &size,
                                 SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0) return;
    auto connection = std::make_unique<Connection>();
    Connection& c = *connection;
    be_quick(socket);
    c.dialler = socket;
    c.there.in = c.back.out = socket;
    c.there.from = c.back.to = listener.for_clients ? links_.clients() : dialler_of(socket, peer);
    c.there.to = c.back.from = listener.node;
    if (is_cut(c.there) || is_cut(c.back)) {
      c.lost = true;  // the handshake does not come about; the connection hangs
      c.connecting = false;
    } else {
      dial(c, listener);
    }
    connections_.push_back(std::move(connection));
  }

  void dial(Connection& c, const Listener& listener) {
    const Place& place = places_[listener.node];
    const sockaddr_in at = to_sockaddr(listener.for_clients ? place.http : place.raft);
    c.server = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    be_quick(c.server);
    c.there.out = c.back.in = c.server;
    if (::connect(c.server, reinterpret_cast<const sockaddr*>(&at), sizeof(at)) != 0 &&
        errno != EINPROGRESS) {
      c.lost = true;
      close(c);
    }
  }

  void connected(Connection& c) {
    int error = 0;
    socklen_t size = sizeof(error);
    ::getsockopt(c.server, SOL_SOCKET, SO_ERROR, &error, &size);
    c.connecting = false;
    if (error != 0) {
      c.lost = true;
      close(c);
    }
  }

  [[nodiscard]] bool of_nodes(const Flow& flow) const {
    return flow.from != links_.clients() && flow.to != links_.clients();
  }
  [[nodiscard]] bool throttled(const Flow& flow) const {
    return links_.bytes_a_second > 0 && of_nodes(flow);
  }
  [[nodiscard]] std::size_t queued_most(const Flow& flow) const {
    return throttled(flow) ? std::min(kQueuedMost, links_.bytes_a_second / 2) : kQueuedMost;
  }
  // When the last byte of a piece has passed a throttled link, whose connections take turns.
  Clock::time_point through_the_link(const Flow& flow, std::size_t size) {
    if (!throttled(flow)) return Clock::now();
    auto& free_from = free_from_[flow.from][flow.to];
    free_from = std::max(free_from, Clock::now()) +
                std::chrono::microseconds(size * 1'000'000 / links_.bytes_a_second);
    return free_from;
  }
  // What waited for its turn on a link goes at once.
  void let_go() {
    const auto now = Clock::now();
    for (auto& connection : connections_) {
      for (Flow* flow : {&connection->there, &connection->back}) {
        for (Flow::Piece& piece : flow->queue) piece.due = std::min(piece.due, now);
        flow->last_due = std::min(flow->last_due, now);
      }
    }
    for (auto& row : free_from_) std::ranges::fill(row, now);
  }

  // How long this piece is under way: a delay, and a timeout for each time that it is lost.
  milliseconds time_on_the_way(const Flow& flow) {
    if (!of_nodes(flow)) return 0ms;
    milliseconds time{0};
    if (links_.delay_most > 0ms) {
      time += milliseconds(static_cast<std::int64_t>(
          prng_.below(static_cast<std::uint64_t>(links_.delay_most.count()) + 1)));
    }
    milliseconds timeout = kRetransmission;
    while (links_.loss_percent > 0 && timeout < 5s && prng_.chance(links_.loss_percent, 100)) {
      time += timeout;
      timeout *= 2;
    }
    return time;
  }

  void receive(Connection& c, Flow& flow) {
    if (c.dead || flow.in < 0 || flow.ended) return;
    char bytes[kPieceMost];
    // Pieces of a throttled link are small, so that those of its other connections fit between.
    const std::size_t most = throttled(flow) ? kPieceMost / 16 : kPieceMost;
    const ssize_t got = ::recv(flow.in, bytes, most, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got < 0) return close(c);
    if (got == 0) {
      flow.ended = true;
      return;
    }
    if (is_cut(flow) || flow.lost || c.server < 0) {
      flow.lost = c.lost = true;
      return;
    }
    const auto due = std::max(flow.last_due, through_the_link(flow, static_cast<std::size_t>(got)) +
                                                 time_on_the_way(flow));
    flow.last_due = due;
    flow.queued += static_cast<std::size_t>(got);
    flow.queue.push_back({due, std::string(bytes, static_cast<std::size_t>(got))});
  }

  void send(Connection& c, Flow& flow) {
    if (is_cut(flow) && !flow.queue.empty()) {
      flow.lost = c.lost = true;
      flow.queue.clear();
      flow.queued = 0;
    }
    const auto now = Clock::now();
    while (!flow.queue.empty() && flow.queue.front().due <= now) {
      std::string& bytes = flow.queue.front().bytes;
      const ssize_t sent = ::send(flow.out, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (sent < 0) return close(c);
      flow.queued -= static_cast<std::size_t>(sent);
      bytes.erase(0, static_cast<std::size_t>(sent));
      if (bytes.empty()) flow.queue.pop_front();
    }
    if (flow.ended && !flow.shut && flow.queue.empty() && !c.lost && flow.out >= 0) {
      flow.shut = true;
      ::shutdown(flow.out, SHUT_WR);
    }
  }

  // A connection that has lost bytes hangs while one of its links is cut, and is reset then. Of one
  // that both sides have ended nothing is left to do.
  void judge(Connection& c) {
    if (c.dead) return;
    if (c.lost && !is_cut(c.there) && !is_cut(c.back)) return close(c);
    if (c.there.ended && c.back.ended && c.there.queue.empty() && c.back.queue.empty()) close(c);
    if (!c.dead && c.lost && c.server < 0 && c.there.ended) close(c);
  }

  static void close(Connection& c) {
    if (c.dead) return;
    c.dead = true;
    for (const int socket : {c.dialler, c.server}) {
      if (socket < 0) continue;
      if (c.lost) {
        reset(socket);
      } else {
        ::close(socket);
      }
    }
  }

  std::mutex mutex_;
  Prng prng_;
  Links links_;
  std::vector<std::vector<Clock::time_point>> free_from_;  // [from][to], of throttled links
  std::vector<Place> places_;
  std::vector<pid_t> pids_;
  std::vector<Listener> listeners_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::atomic<bool> stopping_ = false;
  int wake_;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<Ground> make_proxies(int nodes, std::uint64_t seed) {
  return std::make_unique<Proxies>(nodes, seed);
}

}  // namespace raftkv::chaos
