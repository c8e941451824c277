#include "tests/process/load.h"

#include <algorithm>

#include "tests/process/cluster.h"

namespace raftkv::process {
namespace {

// Every so many writes go to a key that is written only once, so that a write that is lost and then
// overwritten by a later one does not stay unseen.
constexpr std::uint64_t kSingleWriteEvery = 32;
// Every so many operations are consistent reads of the client's own key.
constexpr std::uint64_t kReadEvery = 8;
// Two nodes that each take the other for the leader must not make a client spin.
constexpr int kRedirectsInARow = 3;

enum class Outcome { acknowledged, not_applied, unknown };

Outcome outcome_of(const std::optional<Response>& response, HttpFailure why) {
  if (!response) return why == HttpFailure::not_sent ? Outcome::not_applied : Outcome::unknown;
  if (response->status == 200) return Outcome::acknowledged;
  if (response->status == 307) return Outcome::not_applied;
  return json_string(response->body, "outcome") == "not_applied" ? Outcome::not_applied
                                                                 : Outcome::unknown;
}

}  // namespace

// One writer with keys of its own: nobody else writes them, so it knows what they must hold.
struct Load::Client {
  std::string prefix;
  milliseconds request_limit{};
  std::uint64_t operations = 0;
  std::uint64_t keys = 0;
  std::string key;
  std::map<std::string, Told> told;
  std::vector<TimePoint> acknowledgements;
  std::vector<std::string> wrong_reads;
  std::vector<std::unique_ptr<HttpConnection>> connections;  // one an endpoint
  std::size_t endpoint = 0;
  int redirects = 0;  // in a row

  void new_key() { key = prefix + "/" + std::to_string(keys++); }

  void next_endpoint() { endpoint = (endpoint + 1) % connections.size(); }

  // Goes to the leader that a redirect names; false if that is no other endpoint of ours.
  bool follow(const Response& redirect) {
    const auto leader = parse_address(redirect.header("location"));
    for (std::size_t i = 0; leader && i < connections.size(); ++i) {
      if (i == endpoint || connections[i]->address() != *leader) continue;
      endpoint = i;
      return true;
    }
    return false;
  }
};

Load::Load(LoadOptions options) : options_(std::move(options)) {
  for (int i = 0; i < options_.clients; ++i) {
    auto client = std::make_unique<Client>();
    client->prefix = options_.prefix + "/" + std::to_string(i);
    client->request_limit =
        options_.request_limit * (3 * options_.clients + i) / (3 * options_.clients);
    client->endpoint = static_cast<std::size_t>(i) % options_.endpoints.size();
    for (const Address& address : options_.endpoints) {
      client->connections.push_back(std::make_unique<HttpConnection>(address));
    }
    client->new_key();
    clients_.push_back(std::move(client));
  }
  for (const auto& client : clients_) threads_.emplace_back([this, &client] { run(*client); });
}

Load::~Load() {
  stop();
}

void Load::stop() {
  stopping_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

// Sends to the client's endpoint of the moment and chooses the next one by the answer.
std::optional<Response> Load::send(Client& client, const Request& request, HttpFailure& why) {
  HttpConnection& connection = *client.connections[client.endpoint];
  auto response = connection.exchange(request, client.request_limit);
  why = connection.why();
  if (response && (response->status == 200 || response->status == 404)) {
    client.redirects = 0;
  } else if (response && response->status == 307 && ++client.redirects <= kRedirectsInARow &&
             client.follow(*response)) {
    // the caller sends again
  } else {
    client.redirects = 0;
    client.next_endpoint();
    std::this_thread::sleep_for(options_.pause);
  }
  return response;
}

void Load::read_own_key(Client& client) {
  HttpFailure why{};
  const auto response =
      send(client, {.target = "/key/" + client.key + "?level=consistent&raw"}, why);
  if (!response || (response->status != 200 && response->status != 404)) return;
  ++reads_;
  const std::string value = response->status == 200 ? response->body : "";
  const std::string& expected = client.told[client.key].acknowledged;
  if (value == expected) return;
  client.wrong_reads.push_back("a consistent read of " + client.key + " answered '" + value +
                               "' when '" + expected + "' was acknowledged");
}

void Load::write(Client& client, const std::string& key, const std::string& value) {
  while (!stopping_) {
    HttpFailure why{};
    const auto response =
        send(client, {.method = "PUT", .target = "/key/" + key, .body = value}, why);
    const Outcome outcome = outcome_of(response, why);
    if (outcome == Outcome::not_applied) continue;
    Told& told = client.told[key];
    if (outcome == Outcome::acknowledged) {
      told.acknowledged = value;
      client.acknowledgements.push_back(std::chrono::steady_clock::now());
      ++acknowledged_;
    } else {
      told.perhaps = value;
      ++unknown_;
      if (key == client.key) client.new_key();
    }
    return;
  }
}

void Load::run(Client& client) {
  while (!stopping_) {
    const std::uint64_t n = ++client.operations;
    const std::string value = std::to_string(n);
    if (n % kReadEvery == 0) {
      read_own_key(client);
    } else if (n % kSingleWriteEvery == 1) {
      write(client, client.prefix + "/once/" + value, value);
    } else {
      write(client, std::string(client.key), value);
    }
  }
}

std::vector<Load::TimePoint> Load::acknowledgements() const {
  std::vector<TimePoint> all;
  for (const auto& client : clients_) {
    all.insert(all.end(), client->acknowledgements.begin(), client->acknowledgements.end());
  }
  std::ranges::sort(all);
  return all;
}

std::vector<std::string> Load::wrong_reads() const {
  std::vector<std::string> all;
  for (const auto& client : clients_) {
    all.insert(all.end(), client->wrong_reads.begin(), client->wrong_reads.end());
  }
  return all;
}

std::vector<std::string> Load::broken_promises(const Address& node) const {
  std::vector<std::string> broken;
  HttpConnection connection(node);
  for (const auto& client : clients_) {
    for (const auto& [key, told] : client->told) {
      const auto response =
          connection.exchange({.target = "/key/" + key + "?level=consistent&raw"}, 10s);
      if (!response || (response->status != 200 && response->status != 404)) {
        broken.push_back("no answer to a read of " + key + " through " + node.text());
        return broken;
      }
      const std::string value = response->status == 200 ? response->body : "";
      if (value == told.acknowledged || (!told.perhaps.empty() && value == told.perhaps)) continue;
      broken.push_back(key + " is '" + value + "', acknowledged was '" + told.acknowledged +
                       "', unknown was '" + told.perhaps + "'");
    }
  }
  return broken;
}

milliseconds longest_gap(const std::vector<Load::TimePoint>& times, Load::TimePoint from) {
  milliseconds longest{0};
  for (std::size_t i = 1; i < times.size(); ++i) {
    if (times[i] <= from) continue;
    longest = std::max(longest, std::chrono::duration_cast<milliseconds>(times[i] - times[i - 1]));
  }
  return longest;
}

}  // namespace raftkv::process
