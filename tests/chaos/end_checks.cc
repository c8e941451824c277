#include "tests/chaos/end_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

namespace raftkv::chaos {

bool nodes_agree(const std::vector<std::optional<process::Status>>& said, std::string& why) {
  std::set<std::pair<std::uint64_t, std::string>> states;
  why.clear();
  bool all = true;
  for (std::size_t i = 0; i < said.size(); ++i) {
    const std::string id = fmt::format("node{:02}", i + 1);
    if (!said[i]) {
      all = false;
      why += fmt::format("  {}: no answer\n", id);
      continue;
    }
    const process::Status& it = *said[i];
    if (it.applied_index != it.commit_index) all = false;
    states.emplace(it.applied_index, it.digest);
    why += fmt::format("  {}: {}, term {}, commit {}, applied {}, digest {}\n", id, it.role,
                       it.term, it.commit_index, it.applied_index, it.digest);
  }
  return all && states.size() == 1;
}

Count count_keys(const std::set<std::string>& keys, int nodes, const Ask& ask) {
  std::vector<std::vector<std::string>> asked(static_cast<std::size_t>(nodes));
  std::size_t turn = 0;
  for (const std::string& key : keys) asked[turn++ % asked.size()].push_back(key);
  std::vector<Count> counts(asked.size());
  std::vector<std::thread> threads;
  for (std::size_t node = 0; node < asked.size(); ++node) {
    threads.emplace_back([&, node] {
      for (const std::string& key : asked[node]) {
        const std::optional<bool> there = ask(static_cast<int>(node), key);
        if (!there) ++counts[node].unanswered;
        if (there && !*there) counts[node].missing.push_back(key);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  Count all;
  for (const Count& count : counts) {
    all.unanswered += count.unanswered;
    all.missing.insert(all.missing.end(), count.missing.begin(), count.missing.end());
  }
  std::ranges::sort(all.missing);
  return all;
}

}  // namespace raftkv::chaos
