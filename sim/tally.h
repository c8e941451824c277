// Tally: what a hunt through many seeds came to. The tallies of its parts, from several processes
// or machines, add up to that of the whole (docs/simulation.md, "Large hunts").
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/simulate.h"
#include "src/base/marks.h"
#include "src/base/result.h"
#include "src/base/time.h"

namespace raftkv::sim {

// One seed's run. Plain bytes: a job says them to the process that started it.
struct SeedResult {
  std::uint64_t seed = 0;
  std::uint64_t lively = 0;
  std::uint64_t undecided = 0;
  std::uint64_t events = 0;
  std::uint64_t operations = 0;
  Duration simulated{};
  MarkSet marks;
  std::array<char, 32> violated{};  // the invariant's name; "": none
};
[[nodiscard]] SeedResult result_of(std::uint64_t seed, const Run& run);
void set_violated(SeedResult& result, std::string_view invariant);

// What all runs of a hunt have in common.
struct HuntSettings {
  std::uint64_t nodes = 0;  // as of --nodes
  Duration duration = 20s;
  std::optional<bool> leveldb = std::nullopt;  // as of --storage

  bool operator==(const HuntSettings&) const = default;
};

// The command that runs a seed again.
[[nodiscard]] std::string command_for(const HuntSettings& settings, std::uint64_t seed);

// Seeds first..last, both inclusive.
struct SeedRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;

  bool operator==(const SeedRange&) const = default;
};

class Tally {
 public:
  struct MarkCount {
    std::uint64_t seeds = 0;  // that came to it
    std::uint64_t first = 0;  // the smallest of them
  };
  struct Failed {
    std::uint64_t seed = 0;
    std::string invariant;
  };

  explicit Tally(const HuntSettings& settings = {}) : settings_(settings) {}

  // A seed is added once.
  void add(const SeedResult& result);
  // `wall`: how long `jobs` processes took together.
  void took(Duration wall, std::uint64_t jobs);
  // Errors: invalid (other settings, or a seed that is in both).
  [[nodiscard]] Status merge(const Tally& other);

  [[nodiscard]] const HuntSettings& settings() const { return settings_; }
  [[nodiscard]] std::uint64_t seeds() const { return seeds_; }
  [[nodiscard]] const std::vector<Failed>& failed() const { return failed_; }  // in order of seeds
  [[nodiscard]] const MarkCount& count(Mark mark) const {
    return marks_[static_cast<std::size_t>(mark)];
  }
  [[nodiscard]] std::vector<Mark> unreached() const;
  [[nodiscard]] std::vector<SeedRange> ranges() const;  // of the seeds that were run
  [[nodiscard]] std::vector<SeedRange> gaps() const;    // between those

  // "swarm: seeds=… (N simulated seconds a second)".
  [[nodiscard]] std::string summary() const;
  // A line a mark: how many seeds reached it, the first of them, its name and source.
  [[nodiscard]] std::string marks_table() const;

  // One JSON object and a line's end.
  [[nodiscard]] std::string to_json() const;
  // Errors: invalid (no such object, or of another version). Marks that this program does not know
  // are an error: the numbers of two versions do not add up.
  [[nodiscard]] static Result<Tally> from_json(std::string_view text);

 private:
  void add_range(SeedRange range);
  void add_failed(Failed failed);

  HuntSettings settings_;
  std::map<std::uint64_t, std::uint64_t> ranges_;  // first to last; they do not touch
  std::uint64_t seeds_ = 0;
  std::uint64_t lively_ = 0;
  std::uint64_t undecided_ = 0;
  std::uint64_t events_ = 0;
  std::uint64_t operations_ = 0;
  Duration simulated_{};
  Duration wall_{};        // of the longest part: parts may run at the same time
  Duration processing_{};  // of all processes together
  std::vector<Failed> failed_;
  std::array<MarkCount, kMarks> marks_{};
};

}  // namespace raftkv::sim
