// The counter of docs/linearizability.md is compiled, judges, and is what the text shows.
#include <gmock/gmock.h>

#include <string>

#include "linearizability/readers/reader.h"
#include "tests/linearizability/counter_model.h"
#include "tests/linearizability/program.h"

namespace raftkv::linearizability {
namespace {

Verdict judged(const std::string& operations) {
  const auto reading = read_history("{\"history\":1,\"model\":\"counter\"}\n" + operations);
  CHECK(reading.has_value());
  const CounterModel counter;
  Options options;
  options.model = &counter;
  return check(reading->history, options)->verdict;
}

TEST(ModelsGuide, TheCounterJudges) {
  const std::string adds = R"({"process":0,"invoke":1,"return":4,"f":"add","value":2}
{"process":1,"invoke":2,"return":3,"f":"add","value":3}
)";
  EXPECT_EQ(judged(adds + R"({"process":2,"invoke":2,"return":5,"f":"read","result":3})"),
            Verdict::linearizable);
  EXPECT_EQ(judged(adds + R"({"process":2,"invoke":5,"return":6,"f":"read","result":5})"),
            Verdict::linearizable);
  EXPECT_EQ(judged(adds + R"({"process":2,"invoke":5,"return":6,"f":"read","result":3})"),
            Verdict::not_linearizable);
}

TEST(ModelsGuide, TheTextShowsTheCounterAsItIs) {
  const std::string source = read_file(RAFTKV_SOURCE_DIR "/tests/linearizability/counter_model.h");
  const std::string begin = "// guide: begin\n";
  const std::size_t first = source.find(begin) + begin.size();
  const std::string counter = source.substr(first, source.find("// guide: end") - first);
  EXPECT_THAT(read_file(RAFTKV_SOURCE_DIR "/docs/linearizability.md"),
              ::testing::HasSubstr("```cpp\n" + counter + "```"));
}

}  // namespace
}  // namespace raftkv::linearizability
