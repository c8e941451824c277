#include "tests/process/cluster.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <thread>

namespace raftkv::process {
namespace {

namespace json = boost::json;

std::optional<json::object> parse_object(const std::string& text) {
  boost::system::error_code error;
  json::value value = json::parse(text, error);
  if (error || !value.is_object()) return {};
  return std::move(value.as_object());
}

// As text, whether JSON has it as a string or as a number.
std::string text_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return "";
  if (value->is_string()) return std::string(value->as_string());
  return json::serialize(*value);
}

std::uint64_t number_of(const json::object& object, std::string_view name) {
  return std::strtoull(text_of(object, name).c_str(), nullptr, 10);
}

// Outgoing connections have 127.0.0.1 as source, so on another address of 127.0.0.0/8 no port is
// ever taken by chance. Process ids have at most 22 bits.
std::string own_loopback_address() {
  const unsigned id = static_cast<unsigned>(::getpid());
  return "127." + std::to_string(64 + (id >> 16 & 63)) + "." + std::to_string(id >> 8 & 255) + "." +
         std::to_string(id & 255);
}

}  // namespace

std::string raftkv_program() {
  return std::string(RAFTKV_BIN_DIR) + "/raftkv";
}

Address unused_address() {
  static int next_port = 10000;
  return {own_loopback_address(), next_port++};
}

bool eventually(const std::function<bool()>& condition, milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(10ms);
  }
  return true;
}

std::optional<Status> parse_status(const std::string& text) {
  const auto object = parse_object(text);
  if (!object) return {};
  Status status;
  status.id = text_of(*object, "id");
  status.cluster = text_of(*object, "cluster");
  status.role = text_of(*object, "role");
  status.digest = text_of(*object, "digest");
  status.member = number_of(*object, "member");
  status.term = number_of(*object, "term");
  status.commit_index = number_of(*object, "commitIndex");
  status.applied_index = number_of(*object, "appliedIndex");
  status.first_index = number_of(*object, "firstIndex");
  status.last_index = number_of(*object, "lastIndex");
  status.incarnation = number_of(*object, "incarnation");
  const json::value* leader = object->if_contains("leader");
  if (leader != nullptr && leader->is_object()) status.leader = text_of(leader->as_object(), "id");
  return status;
}

std::optional<std::vector<Member>> parse_members(const std::string& text) {
  const auto object = parse_object(text);
  if (!object || !object->contains("members") || !object->at("members").is_array()) return {};
  std::vector<Member> members;
  for (const json::value& value : object->at("members").as_array()) {
    if (!value.is_object()) return {};
    const json::object& entry = value.as_object();
    const json::value* leader = entry.if_contains("leader");
    members.push_back({text_of(entry, "id"), text_of(entry, "role"), text_of(entry, "httpAddr"),
                       text_of(entry, "raftAddr"), number_of(entry, "member"),
                       leader != nullptr && leader->is_bool() && leader->as_bool()});
  }
  return members;
}

std::string json_string(const std::string& text, const std::string& name) {
  const auto object = parse_object(text);
  return object ? text_of(*object, name) : "";
}

Node::Node(std::string id, Address http, Address raft, std::string data, std::string log)
    : id_(std::move(id)),
      http_(std::move(http)),
      raft_(std::move(raft)),
      data_(std::move(data)),
      log_(std::move(log)) {}

Finished Node::init() const {
  return run({raftkv_program(), "init", "--data", data_, "--id", id_, "--http", http_.text(),
              "--raft", raft_.text()});
}

std::vector<std::string> Node::serve_command(const std::vector<std::string>& arguments) const {
  std::vector<std::string> command = {raftkv_program(), "serve",      "--data", data_,
                                      "--http",         http_.text(), "--raft", raft_.text()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

void Node::start(const std::vector<std::string>& arguments) {
  child_ = Child(serve_command(arguments), log_);
}

void Node::join(const std::vector<const Node*>& through,
                const std::vector<std::string>& arguments) {
  std::string addresses;
  for (const Node* node : through) {
    if (node == this) continue;
    addresses += (addresses.empty() ? "" : ",") + node->http_address().text();
  }
  std::vector<std::string> all = {"--id", id_, "--join", addresses};
  all.insert(all.end(), arguments.begin(), arguments.end());
  start(all);
}

std::optional<ExitCode> Node::terminate() {
  child_.signal(SIGTERM);
  return child_.wait(kPatience);
}

void Node::wipe() const {
  std::filesystem::remove_all(data_);
}

std::optional<Response> Node::request(const Request& request, milliseconds limit) const {
  return http(http_, request, limit);
}

std::optional<Response> Node::get(const std::string& target) const {
  return request({.target = target});
}

std::optional<Status> Node::status() const {
  const auto response = request({.target = "/status"}, 2s);
  if (!response || response->status != 200) return {};
  return parse_status(response->body);
}

std::optional<std::vector<Member>> Node::members() const {
  const auto response = request({.target = "/members"}, 2s);
  if (!response || response->status != 200) return {};
  return parse_members(response->body);
}

Cluster::Cluster(int nodes, std::vector<std::string> arguments) : arguments_(std::move(arguments)) {
  Node& first = new_node();
  if (const Finished made = first.init(); made.exit_code != 0) {
    give_up("init ended with " + std::to_string(made.exit_code) + ": " + made.output);
  }
  start(0);
  (void)wait_for_leader();
  std::vector<std::string> ids = {first.id()};
  for (int i = 1; i < nodes; ++i) {
    Node& node = new_node();
    join(node);
    ids.push_back(node.id());
    if (!voters_become(ids)) give_up(node.id() + " does not become a voter");
  }
  (void)wait_for_leader();
}

Node& Cluster::new_node(const std::string& data) {
  std::string id = "node0" + std::to_string(size() + 1);
  std::string default_data = dir_.path() + "/" + id;
  std::string log = default_data + ".log";
  nodes_.push_back(std::make_unique<Node>(std::move(id), unused_address(), unused_address(),
                                          data.empty() ? std::move(default_data) : data,
                                          std::move(log)));
  return *nodes_.back();
}

std::vector<const Node*> Cluster::all() const {
  std::vector<const Node*> nodes;
  for (const auto& node : nodes_) nodes.push_back(node.get());
  return nodes;
}

std::vector<Address> Cluster::endpoints() const {
  std::vector<Address> endpoints;
  for (const auto& node : nodes_) endpoints.push_back(node->http_address());
  return endpoints;
}

std::optional<int> Cluster::leader() const {
  std::optional<int> leader;
  std::uint64_t term = 0;
  for (int i = 0; i < size(); ++i) {
    Node& node = *nodes_[static_cast<std::size_t>(i)];
    if (!node.running()) continue;
    const auto status = node.status();
    if (status && status->role == "leader" && status->term >= term) {
      leader = i;
      term = status->term;
    }
  }
  return leader;
}

int Cluster::wait_for_leader() {
  int leader = -1;
  const bool found = eventually([&] {
    std::set<std::string> named;
    for (const auto& node : nodes_) {
      if (!node->running()) continue;
      const auto status = node->status();
      named.insert(status ? status->leader : "");
    }
    if (named.size() != 1 || named.contains("")) return false;
    for (int i = 0; i < size(); ++i) {
      if ((*this)[i].id() == *named.begin() && (*this)[i].running()) leader = i;
    }
    return leader >= 0;
  });
  if (!found) give_up("the running nodes do not agree on a leader");
  return leader;
}

int Cluster::wait_for_follower() {
  const int leader = wait_for_leader();
  for (int i = 0; i < size(); ++i) {
    if (i != leader && (*this)[i].running()) return i;
  }
  give_up("no other node runs");
}

bool Cluster::voters_become(const std::vector<std::string>& ids) {
  const std::set<std::string> expected(ids.begin(), ids.end());
  return eventually([&] {
    for (const auto& node : nodes_) {
      if (!node->running() || !expected.contains(node->id())) continue;
      const auto members = node->members();
      if (!members) return false;
      std::set<std::string> voters;
      for (const Member& member : *members) {
        if (member.role != "voter") return false;
        voters.insert(member.id);
      }
      if (voters != expected) return false;
    }
    return true;
  });
}

bool Cluster::settles() {
  return eventually([&] {
    std::set<std::pair<std::uint64_t, std::string>> states;
    for (const auto& node : nodes_) {
      if (!node->running()) continue;
      const auto status = node->status();
      if (!status || status->applied_index != status->commit_index) return false;
      states.emplace(status->applied_index, status->digest);
    }
    return states.size() == 1;
  });
}

std::optional<Response> Cluster::request(const Request& request) {
  std::optional<Response> answer;
  std::size_t turn = 0;
  Address to = nodes_.front()->http_address();
  const bool answered = eventually([&] {
    answer = http(to, request, 5s);
    if (answer && answer->status == 307) {
      const auto leader = parse_address(answer->header("location"));
      if (leader && *leader != to) {
        to = *leader;
        answer = http(to, request, 5s);
      }
    }
    if (answer && answer->status != 307 && answer->status != 503 && answer->status != 504) {
      return true;
    }
    to = nodes_[++turn % nodes_.size()]->http_address();
    return false;
  });
  return answered ? answer : std::nullopt;
}

bool Cluster::put(const std::string& key, const std::string& value) {
  const auto answer = request({.method = "PUT", .target = "/key/" + key, .body = value});
  return answer && answer->status == 200;
}

std::optional<std::string> Cluster::read(const std::string& key) {
  const auto answer = request({.target = "/key/" + key + "?level=consistent&raw"});
  if (answer && answer->status == 200) return answer->body;
  if (!answer || answer->status != 404) give_up("no answer to a consistent read of " + key);
  return {};
}

void Cluster::give_up(const std::string& why) const {
  print_logs();
  std::fprintf(stderr, "the cluster is of no use: %s\n", why.c_str());
  std::abort();
}

void Cluster::print_logs() const {
  for (const auto& node : nodes_) {
    std::fprintf(stderr, "--- the end of the log of %s\n%s", node->id().c_str(),
                 last_lines(node->log(), 30).c_str());
  }
}

}  // namespace raftkv::process
