// append-kv: a text for each key; append puts behind it, write replaces it, read answers all of it.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "linearizability/flat_map.h"
#include "linearizability/models/models.h"

namespace raftkv::linearizability {

namespace {

// Texts are told apart by length and a polynomial hash modulo the prime 2^61 - 1, and confirmed
// byte by byte.
constexpr std::uint64_t kPrime = (std::uint64_t{1} << 61) - 1;
constexpr std::uint64_t kBase = 0x0b5a'27d9'6c13'48f1;

std::uint64_t times(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  const std::uint64_t sum =
      (static_cast<std::uint64_t>(product) & kPrime) + static_cast<std::uint64_t>(product >> 61);
  return sum >= kPrime ? sum - kPrime : sum;
}

std::uint64_t extend(std::uint64_t hash, std::string_view bytes) {
  for (const char c : bytes) {
    hash = times(hash, kBase) + static_cast<unsigned char>(c) + 1;
    if (hash >= kPrime) hash -= kPrime;
  }
  return hash;
}

// A state is the number of a text. Texts are a tree: each is another one and a piece behind it.
class AppendMachine final : public Machine {
 public:
  AppendMachine(const History& history, const Part& part, Value initial) : history_(history) {
    texts_.push_back({});
    remember(0);
    for (const OperationId id : part) {
      const Operation& op = history[id];
      if (op.function == Function::read && op.end == End::ok) expect(op.result);
    }
    start_ = initial == kUnsaid || initial == kNil ? 0 : extended(0, initial);
  }

  void initial(std::span<Word> state) override { state[0] = start_; }

  bool step(std::span<Word> state, OperationId id) override {
    const Operation& op = history_[id];
    switch (op.function) {
      case Function::append:
        state[0] = extended(state[0], op.argument);
        return true;
      case Function::write:
        state[0] = extended(0, op.argument);
        return true;
      default:
        if (op.end == End::info || op.result == kUnsaid) return true;
        if (op.result == kNil) return texts_[state[0]].size == 0;
        return texts_[state[0]].answer == op.result;
    }
  }
  bool observes_only(OperationId id) const override {
    const Operation& op = history_[id];
    return op.function == Function::read ||
           (op.function == Function::append && history_.values().bytes(op.argument).empty());
  }

  std::string print(std::span<const Word> state) const override {
    std::string out;
    for (const std::string_view piece : pieces(state[0])) out += piece;
    return fmt::format("\"{}\"", out);
  }

 private:
  struct Text {
    std::uint32_t before = 0;
    Value piece;   // none for the empty text
    Value answer;  // the read result equal to this text, if any read answered it
    std::uint64_t size = 0;
    std::uint64_t hash = 0;
    std::uint32_t twin = 0;  // another text of the same hash
  };

  // An answer that some read gave: the texts that are made later are compared with it once.
  void expect(Value answer) {
    if (answer == kUnsaid || answer == kNil) return;
    const std::string_view bytes = history_.values().bytes(answer);
    if (bytes.empty()) {
      texts_[0].answer = answer;
      return;
    }
    const auto [first, is_new] = answers_.insert(name(extend(0, bytes), bytes.size()), answer.id);
    if (!is_new && first != answer.id) more_answers_.push_back(answer);
  }

  static std::uint64_t name(std::uint64_t hash, std::uint64_t size) { return mix64(hash) ^ size; }

  std::uint32_t extended(std::uint32_t before, Value piece) {
    const std::string_view bytes = history_.values().bytes(piece);
    if (bytes.empty()) return before;
    const std::uint64_t edge = (static_cast<std::uint64_t>(before) << 32) | piece.id;
    if (const std::uint32_t* known = edges_.find(edge)) return *known;
    Text text{.before = before,
              .piece = piece,
              .answer = kUnsaid,
              .size = texts_[before].size + bytes.size(),
              .hash = extend(texts_[before].hash, bytes),
              .twin = 0};
    texts_.push_back(text);
    const std::uint32_t number = same_or_new(static_cast<std::uint32_t>(texts_.size() - 1));
    edges_.insert(edge, number);
    return number;
  }

  // The last text, unless an older one is equal: then that, and the last is taken back.
  std::uint32_t same_or_new(std::uint32_t last) {
    const std::uint32_t* first = by_hash_.find(name(texts_[last].hash, texts_[last].size));
    for (std::uint32_t other = first == nullptr ? 0 : *first; other != 0;
         other = texts_[other].twin) {
      if (equal(other, last)) {
        texts_.pop_back();
        return other;
      }
    }
    remember(last);
    find_answer(last);
    return last;
  }

  void remember(std::uint32_t number) {
    const auto [first, is_new] =
        by_hash_.insert(name(texts_[number].hash, texts_[number].size), number);
    if (is_new) return;
    texts_[number].twin = first;
    first = number;
  }

  void find_answer(std::uint32_t number) {
    const std::uint32_t* answer = answers_.find(name(texts_[number].hash, texts_[number].size));
    if (answer == nullptr) return;
    if (spells(number, Value(*answer))) texts_[number].answer = Value(*answer);
    for (const Value other : more_answers_) {
      if (spells(number, other)) texts_[number].answer = other;
    }
  }

  std::vector<std::string_view> pieces(std::uint32_t number) const {
    std::vector<std::string_view> out;
    for (; number != 0; number = texts_[number].before) {
      out.push_back(history_.values().bytes(texts_[number].piece));
    }
    std::reverse(out.begin(), out.end());
    return out;
  }
  bool spells(std::uint32_t number, Value answer) const {
    std::string_view rest = history_.values().bytes(answer);
    for (const std::string_view piece : pieces(number)) {
      if (!rest.starts_with(piece)) return false;
      rest.remove_prefix(piece.size());
    }
    return rest.empty();
  }
  bool equal(std::uint32_t a, std::uint32_t b) const {
    if (texts_[a].size != texts_[b].size || texts_[a].hash != texts_[b].hash) return false;
    std::string spelled;
    for (const std::string_view piece : pieces(a)) spelled += piece;
    std::string_view rest = spelled;
    for (const std::string_view piece : pieces(b)) {
      if (!rest.starts_with(piece)) return false;
      rest.remove_prefix(piece.size());
    }
    return true;
  }

  const History& history_;
  std::vector<Text> texts_;  // 0: the empty one
  FlatMap edges_, by_hash_, answers_;
  std::vector<Value> more_answers_;  // whose hash an earlier answer has, too
  std::uint32_t start_ = 0;
};

class AppendModel final : public Model {
 public:
  std::string_view name() const override { return "append-kv"; }
  Family family(const History&) const override { return Family::texts; }
  Status accepts(const History& history) const override {
    static constexpr std::array kKnown = {Function::read, Function::write, Function::append};
    if (Status status = accept_functions(history, name(), kKnown); !status) return status;
    for (OperationId id = 0; id < history.size(); ++id) {
      if (!texts_only(history, history[id])) {
        return failure(ErrorCode::invalid,
                       fmt::format("model append-kv takes texts only: \"{}\"", history.print(id)));
      }
    }
    return {};
  }
  std::vector<Part> partition(const History& history) const override {
    return part_by_key(history);
  }
  std::unique_ptr<Machine> machine(const History& history, const Part& part,
                                   Value initial) const override {
    return std::make_unique<AppendMachine>(history, part, initial);
  }
  bool may_read_from(const History& history, const Operation& reader,
                     const Operation& writer) const override {
    if (reader.function != Function::read || writer.function == Function::read) return false;
    if (reader.result == kUnsaid) return false;
    const std::string_view written = history.values().bytes(writer.argument);
    if (reader.result == kNil) return written.empty();
    const std::string_view seen = history.values().bytes(reader.result);
    return written.empty() ? seen.empty() : seen.find(written) != std::string_view::npos;
  }

 private:
  static bool texts_only(const History& history, const Operation& op) {
    const ValueTable& values = history.values();
    if (op.function != Function::read) return values.kind(op.argument) == ValueTable::Kind::text;
    return op.end != End::ok || op.result == kUnsaid || op.result == kNil ||
           values.kind(op.result) == ValueTable::Kind::text;
  }
};

}  // namespace

const Model& append_kv_model() {
  static const AppendModel model;
  return model;
}

}  // namespace raftkv::linearizability
