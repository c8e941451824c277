// From events (an invocation or a return each) to a history: what the log lines and both EDN forms
// have in common.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "linearizability/history.h"
#include "linearizability/readers/edn.h"
#include "linearizability/readers/reader.h"
#include "linearizability/readers/vocabulary.h"
#include "src/base/result.h"

namespace raftkv::linearizability {

enum class EventType : std::uint8_t { invoke, ok, fail, info };

// One event as it is written. Texts point into the input; values are EDN, and empty if there was
// none.
struct Event {
  std::uint32_t line = 0;
  EventType type = EventType::invoke;
  std::optional<std::uint32_t> process = {};  // none: the nemesis
  std::string_view function = {};             // without the colon
  std::string_view key = {};
  std::string_view value = {};
  std::optional<std::int64_t> time_ns = {};
};

// How a form means what it says.
struct Dialect {
  bool failed_cas_happened =
      false;  // :fail of a cas with its values: it was executed and found another value
  bool nil_is_value = false;  // an ok read of nil found no value; else it says nothing
  bool independent = false;
  bool reads_are_of_sets = false;
};

class EventReader {
 public:
  EventReader(const Dialect& dialect, const KeepGoing& keep_going)
      : dialect_(dialect), keep_going_(keep_going) {}

  // Errors: invalid, with the line.
  [[nodiscard]] Status take(const Event& event);
  [[nodiscard]] const Vocabulary& vocabulary() const { return vocabulary_; }
  // What was read; the reader is of no use afterwards.
  [[nodiscard]] Reading finish();

 private:
  [[nodiscard]] Status invoke(const Event& event);
  [[nodiscard]] Status complete(const Event& event);
  void fault(const Event& event);
  [[nodiscard]] Result<Call> call(const Event& event, Verb verb);
  [[nodiscard]] Result<Call> pairs(const Event& event, Value key, std::string_view value);
  [[nodiscard]] Result<Answer> answer(const Event& event, const Operation& operation);
  [[nodiscard]] Result<Value> value(const Event& event, std::string_view text);
  [[nodiscard]] Result<std::vector<Step>> steps(const Event& event, std::string_view text,
                                                bool done);
  [[nodiscard]] Result<std::vector<Step>> elements(const Event& event, std::string_view text);
  [[nodiscard]] Status split(const Event& event, Value& key, std::string_view& value);
  // Times are kept for people; the order of the lines is what counts, so one that goes back is
  // lifted to the last.
  [[nodiscard]] std::optional<std::int64_t> lift(std::optional<std::int64_t> time_ns);

  Dialect dialect_;
  const KeepGoing& keep_going_;
  std::uint32_t until_asked_ = kEventsUntilAsked;
  HistoryBuilder builder_;
  Vocabulary vocabulary_;
  std::vector<std::uint32_t> lines_;
  std::vector<Verb> verbs_;
  std::vector<std::int64_t> invoke_times_;
  std::vector<std::string> open_faults_;
  std::optional<std::int64_t> last_time_;
  bool timed_ = true;
  std::string spelled_;
};

// An error that a person can find: "line 12: …".
[[nodiscard]] std::unexpected<Error> wrong(std::uint32_t line, std::string_view what);

// The forms: each takes the whole text to its end, or gives the first error.
[[nodiscard]] Status read_jepsen_log(std::string_view text, EventReader& reader);
[[nodiscard]] Status read_edn(std::string_view text, EventReader& reader);

}  // namespace raftkv::linearizability
