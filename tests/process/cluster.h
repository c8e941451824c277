// Real nodes for tests: processes of build/…/bin/raftkv in a temporary directory, on loopback
// addresses of their own, so that tests can run side by side and a node finds its ports free when
// it comes back.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/process/child.h"
#include "tests/process/files.h"
#include "tests/process/http.h"

namespace raftkv::process {

// The program under test.
[[nodiscard]] std::string raftkv_program();

// How long a test waits for what must happen soon: far beyond what a loaded machine under a
// sanitizer needs.
inline constexpr milliseconds kPatience = 60s;

// Asks again and again until `condition` holds; false if it does not within `limit`.
[[nodiscard]] bool eventually(const std::function<bool()>& condition,
                              milliseconds limit = kPatience);

// GET /status, as far as tests ask.
struct Status {
  std::string id;
  std::string cluster;
  std::string role;
  std::string leader;  // id; empty: none known
  std::string digest;
  std::uint64_t member = 0;
  std::uint64_t term = 0;
  std::uint64_t commit_index = 0;
  std::uint64_t applied_index = 0;
  std::uint64_t first_index = 0;
  std::uint64_t last_index = 0;
  std::uint64_t incarnation = 0;
};

// One element of "members" in GET /members.
struct Member {
  std::string id;
  std::string role;
  std::string http_address;
  std::string raft_address;
  std::uint64_t member = 0;
  bool leader = false;
};

[[nodiscard]] std::optional<Status> parse_status(const std::string& json);
[[nodiscard]] std::optional<std::vector<Member>> parse_members(const std::string& json);
// A string member of a JSON object, such as "outcome" or "code" of a problem document; empty if
// there is none.
[[nodiscard]] std::string json_string(const std::string& json, const std::string& name);

class Node {
 public:
  // `data` need not exist.
  Node(std::string id, Address http, Address raft, std::string data, std::string log);

  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] const Address& http_address() const { return http_; }
  [[nodiscard]] const Address& raft_address() const { return raft_; }
  [[nodiscard]] const std::string& data() const { return data_; }
  [[nodiscard]] std::string log() const { return read_file(log_); }

  // raftkv init: makes a new cluster of this node.
  [[nodiscard]] Finished init() const;
  // raftkv serve with these further arguments, in the background.
  void start(const std::vector<std::string>& arguments = {});
  // The same, joining a cluster through one of these nodes.
  void join(const std::vector<const Node*>& through,
            const std::vector<std::string>& arguments = {});
  // The whole command line of start().
  [[nodiscard]] std::vector<std::string> serve_command(
      const std::vector<std::string>& arguments) const;

  [[nodiscard]] bool running() { return child_.running(); }
  [[nodiscard]] pid_t pid() const { return child_.pid(); }
  void kill() { child_.kill(); }
  void signal(int number) { child_.signal(number); }
  std::optional<ExitCode> wait(milliseconds limit = kPatience) { return child_.wait(limit); }
  // SIGTERM; nullopt if it does not end.
  std::optional<ExitCode> terminate();
  // Removes the data directory; the node must not run.
  void wipe() const;

  [[nodiscard]] std::optional<Response> request(const Request& request,
                                                milliseconds limit = 10s) const;
  [[nodiscard]] std::optional<Response> get(const std::string& target) const;
  [[nodiscard]] std::optional<Status> status() const;
  [[nodiscard]] std::optional<std::vector<Member>> members() const;

 private:
  std::string id_;
  Address http_;
  Address raft_;
  std::string data_;
  std::string log_;
  Child child_;
};

class Cluster {
 public:
  // Makes a cluster of `nodes` voters and waits until all know it. Aborts the test program, with
  // the nodes' logs, if that does not come about. `arguments` go to every `serve`.
  explicit Cluster(int nodes, std::vector<std::string> arguments = {});
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  [[nodiscard]] int size() const { return static_cast<int>(nodes_.size()); }
  [[nodiscard]] Node& operator[](int i) { return *nodes_[static_cast<std::size_t>(i)]; }
  [[nodiscard]] std::vector<const Node*> all() const;
  [[nodiscard]] std::vector<Address> endpoints() const;
  [[nodiscard]] std::string dir() const { return dir_.path(); }

  // A further node with an id and addresses of its own, not started. `data` instead of a directory
  // here.
  Node& new_node(const std::string& data = "");
  // Starts node i again with the cluster's arguments.
  void start(int i) { (*this)[i].start(arguments_); }
  // Makes node i join the cluster with its arguments.
  void join(Node& node) { node.join(all(), arguments_); }

  // The index of the node that says it leads, in the highest term; nullopt if none does.
  [[nodiscard]] std::optional<int> leader() const;
  // Waits until every running node names the same leader, and returns it. Aborts if that does not
  // happen.
  [[nodiscard]] int wait_for_leader();
  // A running node that does not lead.
  [[nodiscard]] int wait_for_follower();
  // Waits until these ids, and no others, are voters, by every running node's word.
  [[nodiscard]] bool voters_become(const std::vector<std::string>& ids);
  // Waits until all running nodes of the configuration have applied the same index with the same
  // digest.
  [[nodiscard]] bool settles();

  // Writes through any node, again until it is acknowledged; false if that does not happen.
  [[nodiscard]] bool put(const std::string& key, const std::string& value);
  // The value, by a consistent read through any node, again until there is an answer; nullopt: no
  // such key. Aborts if there is no answer.
  [[nodiscard]] std::optional<std::string> read(const std::string& key);
  // Sends to any node and follows redirects, until the answer is not 503 and not lost. For requests
  // that may be sent twice.
  [[nodiscard]] std::optional<Response> request(const Request& request);

  [[noreturn]] void give_up(const std::string& why) const;
  void print_logs() const;
  // The data stays after the test.
  void keep() { dir_.keep(); }

 private:
  TempDir dir_;
  std::vector<std::string> arguments_;
  std::vector<std::unique_ptr<Node>> nodes_;
};

// A loopback address that belongs to this process while it lives, and a port of it that was not
// used yet.
[[nodiscard]] Address unused_address();

}  // namespace raftkv::process
