#include "tests/chaos/record.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "src/base/check.h"

namespace raftkv::chaos {
namespace {

namespace lin = linearizability;

bool is_judged(const Operation& op) {
  return is_write(op) || (op.level == Level::consistent && op.end == End::ok);
}

lin::Call call_of(const Operation& op, lin::ValueTable& values) {
  const lin::Value value = values.integer(static_cast<std::int64_t>(op.value));
  if (op.kind == Kind::set) {
    std::vector<lin::Step> steps;
    for (const char letter : kSetLetters)
      steps.push_back({lin::Function::write, values.text(op.key + letter), value});
    return lin::transaction(std::move(steps));
  }
  const lin::Value key = values.text(op.key);
  if (op.kind == Kind::get) return lin::read(key);
  return op.kind == Kind::del ? lin::remove(key) : lin::write(key, value);
}

lin::Answer answer_of(const Operation& op, lin::ValueTable& values, bool with_indexes) {
  lin::Answer answer;
  if (op.end != End::ok) return answer;
  if (with_indexes) answer.index = op.index;
  if (op.kind == Kind::del) answer.result = lin::Value::boolean(op.deleted);
  if (op.kind == Kind::get) {
    answer.result = op.found ? values.integer(static_cast<std::int64_t>(op.value)) : lin::kNil;
  }
  return answer;
}

// What happens at one moment of the record.
struct Moment {
  enum class What : std::uint8_t { fault_ends, fault_begins, invoke, complete };
  Nanos time = 0;
  What what = What::invoke;
  std::size_t number = 0;  // of the operation or the band

  // Where times are equal an invocation comes before a return: what may have been at once was.
  auto operator<=>(const Moment&) const = default;
};

std::vector<Moment> moments_of(const std::vector<Operation>& operations,
                               const std::vector<Band>& bands) {
  std::vector<Moment> moments;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    if (!is_judged(operations[i])) continue;
    moments.push_back({operations[i].invoked, Moment::What::invoke, i});
    moments.push_back({operations[i].returned, Moment::What::complete, i});
  }
  for (std::size_t i = 0; i < bands.size(); ++i) {
    moments.push_back({bands[i].from, Moment::What::fault_begins, i});
    moments.push_back({bands[i].to, Moment::What::fault_ends, i});
  }
  std::ranges::sort(moments);
  return moments;
}

std::string title_of(const Band& band) {
  return band.what.empty() ? band.name : band.what;
}

std::string function_of(const Operation& op) {
  switch (op.kind) {
    case Kind::put:
      return fmt::format("\"f\":\"put\",\"key\":\"{}\",\"value\":{}", op.key, op.value);
    case Kind::del:
      return fmt::format("\"f\":\"delete\",\"key\":\"{}\"", op.key);
    case Kind::get:
      return fmt::format("\"f\":\"get\",\"key\":\"{}\"", op.key);
    case Kind::set:
      break;
  }
  std::string pairs;
  for (const char letter : kSetLetters) {
    pairs += fmt::format("{}\"{}{}\":{}", pairs.empty() ? "" : ",", op.key, letter, op.value);
  }
  return "\"f\":\"set\",\"value\":{" + pairs + "}";
}

std::string line_of(const Operation& op) {
  std::string line = fmt::format("{{\"process\":{},\"invoke\":{}", op.process, op.invoked);
  if (op.end != End::info) line += fmt::format(",\"return\":{}", op.returned);
  line += fmt::format(",\"end\":\"{}\",{}", lin::to_string(op.end), function_of(op));
  if (op.end == End::ok) {
    if (op.kind == Kind::del) line += fmt::format(",\"result\":{}", op.deleted);
    if (op.kind == Kind::get && op.found) line += fmt::format(",\"result\":{}", op.value);
    if (op.kind == Kind::get && !op.found) line += ",\"result\":null";
    if (op.index > 0) line += fmt::format(",\"index\":{}", op.index);
    line += fmt::format(",\"node\":\"n{}\"", op.node + 1);
  }
  return line + "}\n";
}

}  // namespace

lin::History to_history(const std::vector<Operation>& operations, const std::vector<Band>& bands,
                        bool with_indexes) {
  lin::HistoryBuilder builder;
  for (const Moment& moment : moments_of(operations, bands)) {
    if (moment.what == Moment::What::fault_begins) {
      builder.fault_begins(title_of(bands[moment.number]), moment.time);
    } else if (moment.what == Moment::What::fault_ends) {
      builder.fault_ends(title_of(bands[moment.number]), moment.time);
    } else if (const Operation& op = operations[moment.number];
               moment.what == Moment::What::invoke) {
      const lin::Call call = call_of(op, builder.values());
      CHECK(builder.invoke(op.process, call, moment.time).has_value());
    } else {
      const auto id = builder.under_way(op.process);
      CHECK(id.has_value());
      const lin::Answer answer = answer_of(op, builder.values(), with_indexes);
      CHECK(builder.complete(*id, op.end, answer, moment.time).has_value());
    }
  }
  return builder.finish();
}

bool write_history(const std::string& file, const std::vector<Operation>& operations,
                   const std::vector<Band>& bands) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(std::fopen(file.c_str(), "w"),
                                                            &std::fclose);
  if (!out) return false;
  const auto put = [&](const std::string& line) {
    return std::fwrite(line.data(), 1, line.size(), out.get()) == line.size();
  };
  bool good = put("{\"history\":1,\"model\":\"kv\",\"initial\":null,\"time\":\"ns\"}\n");
  for (const Operation& op : operations) {
    if (is_judged(op)) good = good && put(line_of(op));
  }
  for (const Band& band : bands) {
    good = good && put(fmt::format("{{\"fault\":\"{}\",\"from\":{},\"to\":{}}}\n", title_of(band),
                                   band.from, band.to));
  }
  return good;
}

}  // namespace raftkv::chaos
