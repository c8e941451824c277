// The own form: a JSON object a line. A header, operations in any order, faults.
//
//   {"history":1,"model":"kv","initial":null}
//   {"process":3,"invoke":1200,"return":3400,"end":"ok","f":"get","key":"x","result":"1"}
//   {"fault":"partition 1,2 | 3","from":1000,"to":9000}
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "linearizability/history.h"
#include "linearizability/readers/json.h"
#include "linearizability/readers/reader.h"
#include "linearizability/readers/vocabulary.h"
#include "src/base/result.h"

namespace raftkv::linearizability {

class JsonLinesReader {
 public:
  JsonLinesReader(bool reads_are_of_sets, const KeepGoing& keep_going)
      : reads_are_of_sets_(reads_are_of_sets), keep_going_(keep_going) {}

  // The whole text to its end, or the first error ("line N: …").
  [[nodiscard]] Status read(std::string_view text);
  [[nodiscard]] const Vocabulary& vocabulary() const { return vocabulary_; }
  // As the header names it; empty if none does.
  [[nodiscard]] const std::string& model() const { return model_; }
  // Puts the operations in order of time. Errors: a process with two operations at once.
  [[nodiscard]] Result<Reading> finish();

 private:
  // A member's value: its first token, and all of it as text if it is an array or object.
  struct Member {
    Token token;
    std::string_view text;
    [[nodiscard]] bool given() const { return token.kind != TokenKind::end; }
  };
  struct Line {
    Member process, invoke, returned, end, function, key, value, result, index;
    Member fault, from, to, header, model, initial, time;
  };
  // An operation until all are read and can be put in order.
  struct Record {
    std::int64_t invoke = 0;
    std::int64_t returned = 0;
    std::uint64_t index = 0;
    std::uint32_t line = 0;
    std::uint32_t process = 0;
    Function function = Function::read;
    End end = End::info;
    bool has_return = false;
    Value key = {}, argument = {}, expected = {}, result = {};
    std::uint32_t first_step = 0;
    std::uint32_t steps = 0;
  };
  struct FaultRecord {
    std::string name;
    std::int64_t from = 0;
    std::optional<std::int64_t> to;
  };
  // Where times are equal, this is the order: what might have been at once counts as at once.
  enum class Rank : std::uint8_t { fault_begins, invocation, process_goes_on, answer, fault_ends };
  // An event: of records_[number], or of faults_[number].
  struct Moment {
    std::int64_t time = 0;
    std::uint32_t number = 0;
    Rank rank = Rank::invocation;
    bool is_return = false;
    auto operator<=>(const Moment&) const = default;  // by time first
  };

  [[nodiscard]] Status read_line(std::string_view line);
  [[nodiscard]] Status read_members(std::string_view line, Line& members);
  [[nodiscard]] Status take_header(const Line& line);
  [[nodiscard]] Status take_fault(const Line& line);
  [[nodiscard]] Status take_operation(const Line& line);
  [[nodiscard]] Status take_times(const Line& line, Record& record);
  [[nodiscard]] Status take_call(const Line& line, Verb verb, Record& record);
  [[nodiscard]] Status take_pairs(const Line& line, Record& record);
  [[nodiscard]] Status take_cas(const Line& line, Record& record);
  [[nodiscard]] Status take_transaction(const Line& line, Record& record);
  [[nodiscard]] Status take_elements(const Line& line, Record& record);
  [[nodiscard]] std::optional<Value> value(const Member& member);
  [[nodiscard]] std::unexpected<Error> wrong_here(std::string_view what) const;

  [[nodiscard]] std::vector<Moment> moments() const;
  void untangle(std::span<Moment> at_once) const;
  [[nodiscard]] Status feed(const Moment& moment);
  [[nodiscard]] Status feed_invocation(std::uint32_t record);

  bool reads_are_of_sets_;
  const KeepGoing& keep_going_;
  HistoryBuilder builder_;
  Vocabulary vocabulary_;
  std::vector<Record> records_;
  std::vector<Step> steps_;
  std::vector<FaultRecord> faults_;
  std::vector<OperationId> ids_;      // by record, once it is fed
  std::vector<std::uint32_t> lines_;  // by operation
  std::uint32_t line_ = 0;
  bool timed_ = true;  // stamps are nanoseconds
  std::string model_;
  std::optional<std::string> initial_;
};

}  // namespace raftkv::linearizability
