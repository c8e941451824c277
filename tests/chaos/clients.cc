#include "tests/chaos/clients.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "src/base/check.h"
#include "src/base/prng.h"
#include "tests/process/cluster.h"

namespace raftkv::chaos {
namespace {

using Clock = std::chrono::steady_clock;
using process::HttpConnection;
using process::HttpFailure;
using process::Request;
using process::Response;

constexpr std::uint64_t kUsesOfRegister = 400;
constexpr std::uint64_t kUsesOfSet = 150;
constexpr int kRedirectsMost = 2;

std::uint64_t number_of(const std::string& text) {
  return std::strtoull(text.c_str(), nullptr, 10);
}

// "node03" is node 2.
std::uint8_t node_of(const std::string& id) {
  return id.starts_with("node") ? static_cast<std::uint8_t>(number_of(id.substr(4)) - 1) : 0;
}

const char* text_of(Level level) {
  return level == Level::consistent ? "consistent" : level == Level::stale ? "stale" : "default";
}

Request request_of(const Operation& op) {
  const std::string value = std::to_string(op.value);
  switch (op.kind) {
    case Kind::put:
      return {.method = "PUT", .target = "/key/" + op.key, .body = value};
    case Kind::del:
      return {.method = "DELETE", .target = "/key/" + op.key};
    case Kind::get:
      return {.target = fmt::format("/key/{}?raw&level={}", op.key, text_of(op.level))};
    case Kind::set:
      break;
  }
  std::string pairs;
  for (const char letter : kSetLetters) {
    pairs += fmt::format("{}\"{}{}\":\"{}\"", pairs.empty() ? "" : ",", op.key, letter, value);
  }
  return {.method = "POST", .target = "/key", .body = "{" + pairs + "}"};
}

// What an answer says about the operation.
void read_answer(Operation& op, const Response& response) {
  op.node = node_of(response.header("x-raft-node"));
  op.leads = response.header("x-raft-node") == response.header("x-raft-leader");
  op.applied = number_of(response.header("x-raft-index"));
  op.term = number_of(response.header("x-raft-term"));
  if (op.kind == Kind::get) {
    const bool missing =
        response.status == 404 && process::json_string(response.body, "code") == "no_such_key";
    op.end = response.status == 200 || missing ? End::ok : End::fail;
    op.found = response.status == 200;
    op.value = op.found ? number_of(response.body) : 0;
    const std::string tag = response.header("etag");
    if (op.found && tag.size() > 2) op.index = number_of(tag.substr(1));
    return;
  }
  if (response.status == 200) {
    op.end = End::ok;
    op.index = number_of(process::json_string(response.body, "index"));
    op.deleted =
        op.kind == Kind::del && response.body.find("\"deleted\":true") != std::string::npos;
    return;
  }
  op.end = process::json_string(response.body, "outcome") == "not_applied" ? End::fail : End::info;
}

}  // namespace

class Clients::Client {
 public:
  Client(Clients& all, std::uint32_t number, std::uint32_t step)
      : all_(all),
        prng_(Prng(all.options_.seed).split(number)),
        process_(number),
        step_(step),
        at_(number % all.options_.endpoints.size()),
        limit_(all.options_.request_limit +
               all.options_.request_limit * number / (3 * std::max(step, 1u))) {}

  void run() {
    while (!all_.stopping_) {
      Operation op = draw();
      const std::size_t through = through_of(op);
      execute(op, through);
      record_.push_back(std::move(op));
      if (record_.back().end != End::ok) rest();
    }
  }

  // Sends, follows, and fills in what came back.
  void execute(Operation& op, std::size_t through) {
    op.process = process_;
    op.epoch = all_.epochs_[through];
    op.invoked = last_ = std::max(all_.now(), last_ + 1);
    exchange(op, through);
    op.returned = last_ = std::max(all_.now(), last_ + 1);
    op.same_epoch = op.node == through && op.epoch == all_.epochs_[through];
    apply_control(op);
    if (op.end == End::info) process_ += step_;
    if (op.end == End::ok && is_write(op)) ++all_.acknowledged_writes_;
  }

  std::vector<Operation>& record() { return record_; }

 private:
  Operation draw() {
    Operation op;
    const std::uint64_t what = prng_.below(100);
    if (what < 20) {
      draw_set(op);
    } else if (what < 26) {
      op.kind = Kind::put;
      op.key = fmt::format("c{}.{}", process_, counted_++);
    } else {
      op.kind = what < 55 ? Kind::put : what < 62 ? Kind::del : Kind::get;
      op.level = what < 84 ? Level::consistent : what < 92 ? Level::default_ : Level::stale;
      const std::uint64_t slot = prng_.below(all_.register_uses_.size());
      op.key = fmt::format("r{}.{}", slot, all_.register_uses_[slot]++ / kUsesOfRegister);
    }
    if (op.kind == Kind::put || op.kind == Kind::set) op.value = all_.next_value_++;
    return op;
  }

  void draw_set(Operation& op) {
    const std::uint64_t slot = prng_.below(all_.set_uses_.size());
    op.key = fmt::format("s{}.{}", slot, all_.set_uses_[slot]++ / kUsesOfSet);
    op.kind = prng_.chance(1, 3) ? Kind::set : Kind::get;
    if (op.kind == Kind::get) op.key += kSetLetters[prng_.below(kSetLetters.size())];
  }

  // A stale read tells about the node that is asked; what else the leader answers goes to where it
  // was found last, but for some, which find out who it is now.
  std::size_t through_of(const Operation& op) {
    const bool stale = op.kind == Kind::get && op.level == Level::stale;
    const bool default_read = op.kind == Kind::get && op.level == Level::default_;
    if (stale || (default_read && prng_.chance(1, 2)))
      return static_cast<std::size_t>(prng_.below(all_.options_.endpoints.size()));
    return at_;
  }

  void rest() {
    at_ = static_cast<std::size_t>(prng_.below(all_.options_.endpoints.size()));
    std::this_thread::sleep_for(milliseconds(static_cast<std::int64_t>(prng_.between(3, 15))));
  }

  HttpConnection& connection(const Address& address) {
    auto& kept = connections_[address.text()];
    if (!kept) kept = std::make_unique<HttpConnection>(address);
    return *kept;
  }

  void exchange(Operation& op, std::size_t through) {
    const Request request = request_of(op);
    Address to = all_.options_.endpoints[through];
    for (int redirects = 0;; ++redirects) {
      HttpConnection& link = connection(to);
      op.end = End::fail;
      if (!link.connect(all_.options_.connect_limit)) return;
      const auto response = link.exchange(request, limit_);
      if (!response) {
        op.end = link.why() == HttpFailure::not_sent || !is_write(op) ? End::fail : End::info;
        return;
      }
      read_answer(op, *response);
      if (response->status != 307) return keep_place(op, to);
      const auto leader = process::parse_address(response->header("location"));
      if (!leader || redirects == kRedirectsMost) return;
      to = *leader;
    }
  }

  void keep_place(const Operation& op, const Address& to) {
    if (op.end != End::ok || (op.kind == Kind::get && op.level == Level::stale)) return;
    const auto found = std::ranges::find(all_.options_.endpoints, to);
    if (found != all_.options_.endpoints.end())
      at_ = static_cast<std::size_t>(found - all_.options_.endpoints.begin());
  }

  void apply_control(Operation& op) const {
    const Control control = all_.options_.control;
    if (control == Control::stale_as_consistent && op.kind == Kind::get && op.level == Level::stale)
      op.level = Level::consistent;
    if (control == Control::unknown_as_failed && op.end == End::info) op.end = End::fail;
  }

  Clients& all_;
  Prng prng_;
  std::uint32_t process_;
  std::uint32_t step_;
  std::size_t at_;
  milliseconds limit_;
  Nanos last_ = 0;
  std::uint64_t counted_ = 0;
  std::map<std::string, std::unique_ptr<HttpConnection>> connections_;
  std::vector<Operation> record_;
};

Clients::Clients(ClientsOptions options, const Epochs& epochs)
    : options_(std::move(options)), epochs_(epochs) {
  // Those of the final reads, one a node, have no thread.
  const auto threads = static_cast<std::uint32_t>(options_.clients);
  const auto count = threads + static_cast<std::uint32_t>(options_.endpoints.size());
  for (std::uint32_t i = 0; i < count; ++i)
    clients_.push_back(std::make_unique<Client>(*this, i, count));
  for (std::uint32_t i = 0; i < threads; ++i)
    threads_.emplace_back([this, i] { clients_[i]->run(); });
}

Clients::~Clients() {
  stop();
}

void Clients::stop() {
  stopping_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

std::vector<Operation> Clients::take_record() {
  CHECK(threads_.empty());
  std::vector<Operation> record;
  for (const auto& client : clients_) {
    std::ranges::move(client->record(), std::back_inserter(record));
    client->record().clear();
  }
  std::ranges::sort(record, {}, &Operation::invoked);
  return record;
}

Nanos Clients::now() const {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - began_).count();
}

bool Clients::read_finally(int node, const std::string& key, Level level,
                           std::vector<Operation>& record) {
  Operation op;
  op.key = key;
  op.level = level;
  const auto through = static_cast<std::size_t>(node);
  clients_[static_cast<std::size_t>(options_.clients) + through]->execute(op, through);
  const bool answered = op.end == End::ok;
  record.push_back(std::move(op));
  return answered;
}

}  // namespace raftkv::chaos
