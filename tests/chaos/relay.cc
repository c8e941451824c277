#include "tests/chaos/relay.h"

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <deque>
#include <thread>

#include "src/base/prng.h"

namespace raftkv::chaos {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;  // NOLINT: 500ms reads better than any helper

constexpr std::size_t kQueuedMost = 1u << 20;  // bytes of one direction: what comes then is lost
constexpr int kBuffered = 8 << 20;             // bytes that the kernel keeps for us, a port
constexpr int kFramesATurn = 256;              // of one port, then come the others
// What we read and write: virtio_net_hdr (which checksums and segments are still to be made;
// linux/virtio_net.h, which is no C++), then an Ethernet header, then an IPv4 header.
constexpr std::size_t kFrame = 10;
constexpr std::size_t kSource = kFrame + ETH_ALEN;
constexpr std::size_t kDestinationAddress = kFrame + ETH_HLEN + 16;
constexpr std::size_t kLeast = kFrame + ETH_HLEN + 20;
constexpr std::size_t kMost = kFrame + ETH_HLEN + 65536;
constexpr std::array<char, ETH_ALEN> kRelayedBytes = {0x02, 0x72, 0x6b, 0x76, 0x63, 0x00};

bool take_virtio_headers(int socket) {
  const int on = 1;
  return ::setsockopt(socket, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) == 0 &&
         ::setsockopt(socket, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) == 0;
}

// Of all that passes only IPv4 to one of the ports' addresses, which share their first three bytes.
bool take_only_what_nodes_send_nodes(int socket, const std::vector<Port>& ports) {
  const std::uint32_t first = ntohl(ports.front().address.s_addr);
  const std::uint32_t last = ntohl(ports.back().address.s_addr);
  std::array<sock_filter, 7> program = {{
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 4),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ETH_HLEN + 16),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, first, 0, 2),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, last, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, kMost),
      BPF_STMT(BPF_RET | BPF_K, 0),
  }};
  const sock_fprog filter{program.size(), program.data()};
  return ::setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) == 0;
}

// -1 if it cannot be opened. Frames come from the bind on: all else is set before.
int open_port(const Port& port, const std::vector<Port>& ports) {
  const int socket = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket < 0) return -1;
  ::setsockopt(socket, SOL_SOCKET, SO_RCVBUFFORCE, &kBuffered, sizeof(kBuffered));
  ::setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &kBuffered, sizeof(kBuffered));
  sockaddr_ll at{};
  at.sll_family = AF_PACKET;
  at.sll_protocol = htons(ETH_P_ALL);  // only this comes before the bridge takes it
  at.sll_ifindex = static_cast<int>(::if_nametoindex(port.link.c_str()));
  if (take_virtio_headers(socket) && take_only_what_nodes_send_nodes(socket, ports) &&
      at.sll_ifindex != 0 &&
      ::bind(socket, reinterpret_cast<const sockaddr*>(&at), sizeof(at)) == 0) {
    return socket;
  }
  ::close(socket);
  return -1;
}

class FrameRelay final : public Relay {
 public:
  // Takes the sockets, one a port.
  FrameRelay(std::vector<Port> ports, std::vector<int> sockets, Pace pace, std::uint64_t seed)
      : ports_(std::move(ports)),
        sockets_(std::move(sockets)),
        pace_(pace),
        prng_(seed),
        links_(ports_.size() * ports_.size()),
        wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
        thread_([this] { run(); }) {}
  ~FrameRelay() override {
    stopping_ = true;
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof(one));
    thread_.join();
    for (const int socket : sockets_) ::close(socket);
    ::close(wake_);
  }

 private:
  struct Frame {
    Clock::time_point due;
    std::string bytes;
  };
  // From one node to another.
  struct Link {
    std::deque<Frame> queue = {};
    std::size_t queued = 0;
    Clock::time_point free_from = {};  // of a slow link: when the last byte has passed
    Clock::time_point last_due = {};
  };

  void run() {
    std::vector<pollfd> polled = {{wake_, POLLIN, 0}};
    for (const int socket : sockets_) polled.push_back({socket, POLLIN, 0});
    while (!stopping_) {
      ::poll(polled.data(), polled.size(), until_the_next_is_due());
      for (std::size_t from = 0; from < ports_.size(); ++from) receive(from);
      send_what_is_due(Clock::now());
    }
    send_what_is_due(Clock::time_point::max());
  }

  // In ms, rounded up; -1 if nothing waits.
  [[nodiscard]] int until_the_next_is_due() const {
    auto next = Clock::time_point::max();
    for (const Link& link : links_) {
      if (!link.queue.empty()) next = std::min(next, link.queue.front().due);
    }
    if (next == Clock::time_point::max()) return -1;
    const auto left = std::chrono::ceil<milliseconds>(next - Clock::now());
    return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
  }

  void receive(std::size_t from) {
    for (int i = 0; i < kFramesATurn; ++i) {
      const ssize_t got = ::recv(sockets_[from], buffer_.data(), buffer_.size(), MSG_TRUNC);
      if (got < 0) return;
      const auto size = static_cast<std::size_t>(got);
      if (size < kLeast || size > buffer_.size()) continue;
      in_addr to{};
      std::memcpy(&to, &buffer_[kDestinationAddress], sizeof(to));
      const auto port = std::ranges::find(ports_, to.s_addr,
                                          [](const Port& each) { return each.address.s_addr; });
      if (port == ports_.end()) continue;
      take(links_[from * ports_.size() + static_cast<std::size_t>(port - ports_.begin())],
           std::string(buffer_.data(), size));
    }
  }

  // As long as the frame's bytes take, and a delay. A frame that finds too much waiting is lost.
  void take(Link& link, std::string frame) {
    const std::size_t size = frame.size() - kFrame;
    const bool slow = pace_.bytes_a_second > 0;
    const std::size_t most = slow ? pace_.bytes_a_second / 2 : kQueuedMost;
    if (!link.queue.empty() && link.queued + size > most) return;
    auto due = Clock::now();
    if (slow) {
      due = link.free_from = std::max(link.free_from, due) +
                             std::chrono::microseconds(size * 1'000'000 / pace_.bytes_a_second);
    }
    due += milliseconds(static_cast<std::int64_t>(
        prng_.below(static_cast<std::uint64_t>(pace_.delay_most.count()) + 1)));
    due = link.last_due = std::max(link.last_due, due);
    std::ranges::copy(kRelayedBytes, frame.begin() + kSource);
    link.queued += size;
    link.queue.push_back({due, std::move(frame)});
  }

  // What the receiver's kernel does not take is lost, as on any link.
  void send_what_is_due(Clock::time_point now) {
    for (std::size_t i = 0; i < links_.size(); ++i) {
      Link& link = links_[i];
      for (; !link.queue.empty() && link.queue.front().due <= now; link.queue.pop_front()) {
        const std::string& bytes = link.queue.front().bytes;
        link.queued -= bytes.size() - kFrame;
        (void)::send(sockets_[i % ports_.size()], bytes.data(), bytes.size(), 0);
      }
    }
  }

  std::vector<Port> ports_;
  std::vector<int> sockets_;
  Pace pace_;
  Prng prng_;
  std::vector<Link> links_;  // from * ports + to
  std::array<char, kMost> buffer_;
  std::atomic<bool> stopping_ = false;
  int wake_;
  std::thread thread_;  // the last: it uses all the others
};

}  // namespace

std::string why_no_relay() {
  const int socket = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  const bool works = socket >= 0 && take_virtio_headers(socket);
  if (socket >= 0) ::close(socket);
  return works ? "" : "frames cannot be read and sent here (packet(7), PACKET_VNET_HDR)";
}

std::unique_ptr<Relay> make_relay(const std::vector<Port>& ports, Pace pace, std::uint64_t seed) {
  std::vector<int> sockets;
  for (const Port& port : ports) sockets.push_back(open_port(port, ports));
  if (std::ranges::find(sockets, -1) == sockets.end())
    return std::make_unique<FrameRelay>(ports, std::move(sockets), pace, seed);
  for (const int socket : sockets) {
    if (socket >= 0) ::close(socket);
  }
  return nullptr;
}

}  // namespace raftkv::chaos
