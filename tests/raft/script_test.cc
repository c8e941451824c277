// Runs the stories in tests/testdata/raft/*.txt: commands, a line `----`, and what the cores then
// say. docs/testing.md has the list of commands. RAFTKV_REWRITE=1 writes what was said into the
// files; read the difference before you commit it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/raft/cluster.h"

namespace raftkv::raft {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::stringstream in(text);
  for (std::string part; std::getline(in, part, separator);) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

std::vector<std::uint64_t> numbers(const std::string& text) {
  std::vector<std::uint64_t> out;
  for (const std::string& part : split(text, ',')) out.push_back(std::stoull(part));
  return out;
}

// One command line: a verb, plain words, and key=value words.
struct Command {
  std::string verb;
  std::vector<std::string> words;
  std::map<std::string, std::string> named;

  [[nodiscard]] MemberId node(std::size_t i = 0) const {
    return MemberId(std::stoull(words.at(i)));
  }
  [[nodiscard]] std::string get(const std::string& name, const std::string& otherwise = "") const {
    const auto it = named.find(name);
    return it == named.end() ? otherwise : it->second;
  }
  [[nodiscard]] std::uint64_t number(const std::string& name, std::uint64_t otherwise) const {
    const auto it = named.find(name);
    return it == named.end() ? otherwise : std::stoull(it->second);
  }
};

Command parse(std::string line) {
  line = line.substr(0, line.find('#'));
  Command command;
  for (const std::string& word : split(line, ' ')) {
    const auto equals = word.find('=');
    if (command.verb.empty()) {
      command.verb = word;
    } else if (equals == std::string::npos) {
      command.words.push_back(word);
    } else {
      command.named[word.substr(0, equals)] = word.substr(equals + 1);
    }
  }
  return command;
}

class Story {
 public:
  Story() : cluster_(1) {
    cluster_.set_trace([this](const std::string& line) { said_.push_back(line); });
  }

  std::vector<std::string> run(const Command& c) {
    said_.clear();
    const bool known = world(c) || inputs(c) || administration(c);
    if (!known) ADD_FAILURE() << "unknown command: " << c.verb;
    return said_;
  }

 private:
  // The world around the cores.
  bool world(const Command& c) {
    if (c.verb == "cluster") {
      configuration_ = configuration_of(numbers(c.get("voters")), numbers(c.get("learners")));
      if (c.named.contains("outgoing")) {
        for (const std::uint64_t id : numbers(c.get("outgoing")))
          configuration_.outgoing.push_back(MemberId(id));
      }
      Options options;
      options.entries_per_message_max = c.number("entries", options.entries_per_message_max);
      options.bytes_per_message_max = c.number("bytes", options.bytes_per_message_max);
      if (c.named.contains("batch_wait_ms"))
        options.batch_wait_max = std::chrono::milliseconds(c.number("batch_wait_ms", 0));
      options.log_cut_step_bytes = c.number("cut", options.log_cut_step_bytes);
      options.log_kept_bytes = c.number("kept", options.log_kept_bytes);
      options.log_kept_for_streams_bytes = c.number("streamed", options.log_kept_for_streams_bytes);
      options.snapshot_chunk_bytes = c.number("chunk", options.snapshot_chunk_bytes);
      options.snapshot_window_chunks = c.number("window", options.snapshot_window_chunks);
      options.snapshot_streams_max = c.number("streams", options.snapshot_streams_max);
      cluster_.set_options(options);
    } else if (c.verb == "node") {
      HardState hard_state{Term(c.number("term", 1)), MemberId(c.number("vote", 0))};
      Node& node = cluster_.add(c.node(), configuration_, numbers(c.get("log", "1")), hard_state);
      node.disk.applied = Index(c.number("applied", 0));
      node.applied.assign(
          node.disk.log.begin(),
          node.disk.log.begin() + static_cast<std::ptrdiff_t>(node.disk.applied.value));
      node.disk.cut_before(Index(c.number("first", 1)));
      node.promise_lost = c.get("lost") == "yes";
      cluster_.start(c.node());
    } else if (c.verb == "empty") {
      cluster_.add_empty(c.node());
      cluster_.start(c.node());
    } else if (c.verb == "crash") {
      cluster_.crash(c.node());
    } else if (c.verb == "start") {
      cluster_.start(c.node());
    } else if (c.verb == "settle") {
      cluster_.settle();
    } else if (c.verb == "deliver" || c.verb == "drop" || c.verb == "double") {
      messages(c);
    } else if (c.verb == "disk") {
      cluster_.node(c.node()).auto_disk = c.words.at(1) == "quick";
    } else if (c.verb == "durable") {
      Node& node = cluster_.node(c.node());
      for (std::uint64_t n = c.number("writes", node.writes.size()); n > 0; --n)
        cluster_.write_one(c.node());
    } else if (c.verb == "apply") {
      cluster_.node(c.node()).auto_apply = c.words.at(1) == "quick";
    } else if (c.verb == "applied") {
      cluster_.apply_some(c.node(), SIZE_MAX);
    } else if (c.verb == "snapshots") {
      Node& node = cluster_.node(c.node());
      node.auto_snapshots = c.words.at(1) != "slow";
      node.snapshots_fail = c.words.at(1) == "fail";
    } else if (c.verb == "work") {
      Node& node = cluster_.node(c.node());
      for (std::uint64_t n = c.number("count", node.snapshot_work.size()); n > 0; --n)
        cluster_.snapshot_step(c.node());
    } else if (c.verb == "lose_state") {
      cluster_.lose_state(c.node());
    } else if (c.verb == "lose_log") {
      cluster_.lose_log(c.node(), Index(c.number("from", 1)));
    } else if (c.verb == "wait") {
      cluster_.advance(std::chrono::milliseconds(c.number("ms", 0)));
    } else if (c.verb == "status") {
      for (const auto& [id, node] : cluster_.nodes()) {
        if (c.words.empty() || c.node() == id) said_.push_back(describe(*node));
      }
    } else {
      return false;
    }
    return true;
  }

  void messages(const Command& c) {
    auto& network = cluster_.network();
    std::uint64_t left = c.number("count", network.size());
    for (std::size_t i = 0; i < network.size() && left > 0;) {
      const Route& route = network[i].route;
      const bool chosen =
          (!c.named.contains("from") || route.from.value == c.number("from", 0)) &&
          (!c.named.contains("to") || route.to.value == c.number("to", 0)) &&
          (!c.named.contains("kind") || c.get("kind") == name_of(network[i].message));
      if (!chosen) {
        ++i;
        continue;
      }
      --left;
      if (c.verb == "deliver") {
        cluster_.deliver(i);
      } else if (c.verb == "drop") {
        network.erase(network.begin() + static_cast<std::ptrdiff_t>(i));
      } else {
        network.push_back(network[i]);
        ++i;
      }
    }
  }

  bool inputs(const Command& c) {
    if (c.verb == "timeout") {
      cluster_.expire(c.node());
    } else if (c.verb == "propose") {
      cluster_.act(c.node(), [&](Raft& r) {
        for (std::size_t i = 1; i < c.words.size(); ++i) {
          taken(r.propose(EntryDraft::copy_of(EntryKind::command, c.words[i]), cluster_.now()));
        }
      });
    } else if (c.verb == "read") {
      cluster_.act(c.node(), [&](Raft& r) {
        for (std::size_t i = 1; i < c.words.size(); ++i)
          r.read(Ticket(std::stoull(c.words[i])), cluster_.now());
      });
    } else if (c.verb == "disconnected") {
      cluster_.act(c.node(), [&](Raft& r) {
        r.peer_event(MemberId(c.number("peer", 0)), PeerEvent::disconnected, cluster_.now());
      });
    } else {
      return false;
    }
    return true;
  }

  bool administration(const Command& c) {
    if (c.verb == "transfer") {
      cluster_.act(c.node(), [&](Raft& r) {
        const auto result = r.transfer_leadership(MemberId(c.number("to", 0)), cluster_.now());
        if (!result) said_.push_back(fmt::format("refused: {}", to_string(result.error())));
      });
    } else if (c.verb == "add") {
      cluster_.act(c.node(), [&](Raft& r) {
        const std::string name = c.words.at(1);
        taken(r.change_members(AddMember{.name = name,
                                         .instance = InstanceId(c.number("instance", 0)),
                                         .http_address = c.get("http", "h-" + name),
                                         .raft_address = c.get("raft", "r-" + name)},
                               cluster_.now()));
      });
    } else if (c.verb == "remove") {
      cluster_.act(c.node(), [&](Raft& r) {
        taken(r.change_members(RemoveMember{c.words.at(1)}, cluster_.now()));
      });
    } else {
      return false;
    }
    return true;
  }

  void taken(const std::expected<Proposed, Refusal>& result) {
    said_.push_back(result ? fmt::format("taken as {}/{}", result->index.value, result->term.value)
                           : fmt::format("refused: {}", to_string(result.error())));
  }

  Cluster cluster_;
  Configuration configuration_;
  std::vector<std::string> said_;
};

// A file is a sequence of blocks: comment and command lines, "----", the answer, an empty line.
std::string play(const std::string& text) {
  Story story;
  std::string out;
  std::vector<std::string> said;
  bool in_answer = false;
  std::stringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (in_answer) {
      if (!line.empty()) continue;
      in_answer = false;
      out += "\n";
      continue;
    }
    out += line + "\n";
    if (line == "----") {
      for (const std::string& s : said) out += s + "\n";
      said.clear();
      in_answer = true;
      continue;
    }
    const Command command = parse(line);
    if (command.verb.empty()) continue;
    for (std::string& s : story.run(command)) said.push_back(std::move(s));
    if (command.get("say") == "nothing") said.clear();  // so far, in this block
  }
  if (!said.empty()) ADD_FAILURE() << "the story does not end with an answer";
  return out;
}

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<std::string> stories() {
  std::vector<std::string> names;
  for (const auto& file :
       std::filesystem::directory_iterator(RAFTKV_SOURCE_DIR "/tests/testdata/raft")) {
    if (file.path().extension() == ".txt") names.push_back(file.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class Stories : public testing::TestWithParam<std::string> {};

TEST_P(Stories, SayWhatTheyShould) {
  const std::filesystem::path path =
      RAFTKV_SOURCE_DIR "/tests/testdata/raft/" + GetParam() + ".txt";
  const std::string expected = read(path);
  const std::string played = play(expected);
  if (std::getenv("RAFTKV_REWRITE") != nullptr) {
    std::ofstream(path, std::ios::binary) << played;
    return;
  }
  EXPECT_EQ(played, expected) << path;
}

INSTANTIATE_TEST_SUITE_P(Raft, Stories, testing::ValuesIn(stories()),
                         [](const auto& story) { return story.param; });

TEST(Story, ThatIsWrongFails) {
  const std::string wrong = "cluster voters=1\nnode 1\nstatus\n----\n1 leader\n\n";
  EXPECT_NE(play(wrong), wrong);
}

}  // namespace
}  // namespace raftkv::raft
