#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "linearizability/cli/file.h"
#include "linearizability/cli/judge.h"
#include "linearizability/cli/run.h"
#include "linearizability/readers/json.h"
#include "linearizability/verify.h"

namespace raftkv::linearizability {
namespace {

// What one line of --json says.
struct Proof {
  std::string file;
  std::string verdict;
  std::optional<std::string> model;
  std::optional<std::string> initial;
  std::optional<std::vector<OperationId>> witness;
  std::vector<OperationId> core, weakened;
};

bool read_string(const Token& token, std::string& out) {
  return token.kind == TokenKind::string && append_unescaped(out, token);
}

bool read_ids(JsonScanner& scanner, std::vector<OperationId>& out) {
  if (scanner.next().kind != TokenKind::open_vector) return false;
  for (bool first = true;; first = false) {
    const Token token = scanner.next_element(first);
    if (token.kind == TokenKind::close) return true;
    if (token.kind != TokenKind::integer || token.integer < 0 ||
        token.integer > std::numeric_limits<OperationId>::max()) {
      return false;
    }
    out.push_back(static_cast<OperationId>(token.integer));
  }
}

// Reads an object, each of whose members `member` takes or refuses.
template <typename Member>
bool read_object(JsonScanner& scanner, Member member) {
  if (scanner.next().kind != TokenKind::open_map) return false;
  for (bool first = true;; first = false) {
    const Token name = scanner.next_key(first);
    if (name.kind == TokenKind::close) return true;
    if (name.kind != TokenKind::string || !member(name.text)) return false;
  }
}

std::optional<Proof> read_proof(std::string_view line) {
  Proof proof;
  JsonScanner scanner(line);
  const auto core_member = [&](std::string_view name) {
    if (name == "operations") return read_ids(scanner, proof.core);
    if (name == "weakened") return read_ids(scanner, proof.weakened);
    return scanner.skip(scanner.next());
  };
  const bool read = read_object(scanner, [&](std::string_view name) {
    if (name == "file") return read_string(scanner.next(), proof.file);
    if (name == "verdict") return read_string(scanner.next(), proof.verdict);
    if (name == "model") return read_string(scanner.next(), proof.model.emplace());
    if (name == "initial") return read_string(scanner.next(), proof.initial.emplace());
    if (name == "witness") return read_ids(scanner, proof.witness.emplace());
    if (name == "core") return read_object(scanner, core_member);
    return scanner.skip(scanner.next());
  });
  if (!read) return std::nullopt;
  return proof;
}

// The proof of this file, or the only one that there is.
Result<Proof> find_proof(std::string_view text, const std::string& file) {
  std::vector<Proof> proofs;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t length = std::min(text.find('\n'), text.size());
    if (length > 0) {
      auto proof = read_proof(text.substr(0, length));
      if (!proof)
        return failure(ErrorCode::invalid,
                       fmt::format("line {} is not what --json prints", number));
      if (proof->file == file) return std::move(*proof);
      proofs.push_back(std::move(*proof));
    }
    text.remove_prefix(std::min(length + 1, text.size()));
  }
  if (proofs.size() == 1) return std::move(proofs[0]);
  return failure(ErrorCode::invalid, fmt::format("it has no proof of {}", file));
}

// Both searches, one after the other: one must refute the core, and none find an order of it.
// ErrorCode::exhausted: neither came to an end in time.
Status judge_core(const Case& subject, const History& core, std::chrono::nanoseconds timeout) {
  bool refuted = false;
  for (const Algorithm algorithm : {Algorithm::depth_first, Algorithm::just_in_time}) {
    const auto start = std::chrono::steady_clock::now();
    Options options;
    options.model = subject.model;
    options.initial = subject.initial;
    options.algorithm = algorithm;
    options.want_core = options.want_witness = false;
    options.keep_going = [&](const Progress&) {
      return timeout.count() == 0 || std::chrono::steady_clock::now() - start < timeout / 2;
    };
    const auto report = check(core, options);
    if (!report) return failure(report);
    if (report->verdict == Verdict::linearizable) {
      return failure(ErrorCode::invalid,
                     fmt::format("the core alone is linearizable ({})", to_string(algorithm)));
    }
    refuted = refuted || report->verdict == Verdict::not_linearizable;
  }
  if (!refuted) return failure(ErrorCode::exhausted, "the time limit struck (--timeout)");
  return {};
}

Status verify_core(const Case& subject, const Proof& proof, std::chrono::nanoseconds timeout) {
  const History& history = subject.reading.history;
  if (proof.core.empty()) return failure(ErrorCode::invalid, "it has no core");
  for (std::size_t i = 0; i < proof.core.size(); ++i) {
    if (proof.core[i] >= history.size()) {
      return failure(ErrorCode::invalid,
                     fmt::format("operation {} of the core is not in the history", proof.core[i]));
    }
    if (i > 0 && proof.core[i] <= proof.core[i - 1])
      return failure(ErrorCode::invalid, "the core is not in ascending order");
  }
  if (!std::ranges::is_sorted(proof.weakened))
    return failure(ErrorCode::invalid, "\"weakened\" is not in ascending order");
  return judge_core(subject, history.restricted_to(proof.core, proof.weakened), timeout);
}

int say(const std::string& file, std::string_view what, const Status& status) {
  if (status) {
    fmt::print("{}: {} holds\n", file, what);
    return kExitLinearizable;
  }
  if (status.error().code == ErrorCode::exhausted) {
    fmt::print("{}: {} is not verified: {}\n", file, what, status.error().message);
    return kExitUnknown;
  }
  fmt::print("{}: {} does not hold: {}\n", file, what, status.error().message);
  return kExitViolation;
}

}  // namespace

int run_verify(const VerifyCommand& command) {
  const auto complain = [](const std::string& file, const Error& error) {
    fmt::print(stderr, "{}: {}\n", file, error.message);
    return error.code == ErrorCode::unsupported ? kExitUsage : kExitUnreadable;
  };
  const auto input = InputFile::open(command.proof);
  if (!input) return complain(command.proof, input.error());
  const auto proof = find_proof(input->text(), command.history);
  if (!proof) return complain(command.proof, proof.error());

  JudgeOptions options = command.judge;
  if (!options.model) options.model = proof->model;
  if (!options.initial) options.initial = proof->initial;
  const auto subject = read_case(command.history, options);
  if (!subject) return complain(command.history, subject.error());

  if (proof->verdict == to_string(Verdict::linearizable)) {
    if (!proof->witness) return complain(command.proof, {ErrorCode::invalid, "it has no witness"});
    const Status status = verify_witness(subject->reading.history, subject->model->name(),
                                         subject->initial, *proof->witness);
    return say(command.history, fmt::format("the witness of {} operations", proof->witness->size()),
               status);
  }
  if (proof->verdict == to_string(Verdict::not_linearizable)) {
    return say(command.history, fmt::format("the core of {} operations", proof->core.size()),
               verify_core(*subject, *proof, command.timeout));
  }
  fmt::print("{}: there is nothing to verify: the verdict is unknown\n", command.history);
  return kExitUnknown;
}

}  // namespace raftkv::linearizability
