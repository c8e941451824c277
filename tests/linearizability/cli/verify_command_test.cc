// lincheck verify: a proof that holds, and proofs that were tampered with.
#include <gmock/gmock.h>

#include <string>

#include "tests/linearizability/program.h"

namespace raftkv::linearizability {
namespace {

using ::testing::HasSubstr;

const std::string kGood = R"({"process":0,"invoke":1,"return":5,"f":"write","value":1}
{"process":1,"invoke":2,"return":6,"f":"read","result":null}
{"process":1,"invoke":7,"return":9,"f":"read","result":1}
)";
const std::string kStale = R"({"process":0,"invoke":1,"return":2,"f":"write","value":1}
{"process":0,"invoke":3,"return":4,"f":"write","value":2}
{"process":1,"invoke":5,"return":6,"f":"read","result":1}
)";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from << " in " << text;
  return text.replace(at, from.size(), to);
}

TEST(Verify, AWitnessHolds) {
  const Folder folder;
  const std::string file = folder.write("h.jsonl", kGood);
  const std::string proof = lincheck({"--json", file}).out;
  const ProgramOutcome outcome = lincheck({"verify", file}, proof);
  EXPECT_EQ(outcome.out, file + ": the witness of 3 operations holds\n");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(lincheck({"verify", file, folder.write("proof.json", proof)}).code, 0);
}

TEST(Verify, AWitnessThatWasTamperedWithDoesNot) {
  const Folder folder;
  const std::string file = folder.write("h.jsonl", kGood);
  const std::string proof = lincheck({"--json", file}).out;
  for (const char* witness : {"[0,1,2]", "[1,0]", "[1,0,2,2]", "[2,1,0]", "[1,0,7]", "[]"}) {
    const ProgramOutcome outcome = lincheck({"verify", file}, replaced(proof, "[1,0,2]", witness));
    EXPECT_EQ(outcome.code, 1) << witness;
    EXPECT_THAT(outcome.out, HasSubstr("does not hold: ")) << witness;
  }
}

TEST(Verify, ACoreHoldsAndOneThatLacksAnOperationDoesNot) {
  const Folder folder;
  const std::string file = folder.write("h.jsonl", kStale);
  const std::string proof = lincheck({"--json", file}).out;
  EXPECT_EQ(lincheck({"verify", file}, proof).out, file + ": the core of 3 operations holds\n");
  for (const char* core : {"[0,2]", "[1]", "[0,1]", "[0,1,7]", "[2,1,0]", "[]"}) {
    const ProgramOutcome outcome =
        lincheck({"verify", file},
                 replaced(proof, "\"operations\":[0,1,2]", std::string("\"operations\":") + core));
    EXPECT_EQ(outcome.code, 1) << core;
  }
}

TEST(Verify, TakesModelAndInitialValueFromTheProof) {
  const Folder folder;
  const std::string file =
      folder.write("h.jsonl", R"({"process":0,"invoke":1,"return":5,"f":"read","result":"a b"})");
  const std::string proof = lincheck({"--json", "--initial", "\"a b\"", file}).out;
  EXPECT_EQ(lincheck({"verify", file}, proof).code, 0);
  EXPECT_EQ(lincheck({"verify", "--initial", "7", file}, proof).code, 1);
}

TEST(Verify, ACoreThatTakesTooLongIsUnknown) {
  const Folder folder;
  const std::string file = folder.write("h.jsonl", hard_history());
  std::string core;
  for (int id = 0; id < 31; ++id) core += (id > 0 ? "," : "") + std::to_string(id);
  const std::string proof = R"({"file":"h","verdict":"not-linearizable","core":{"operations":[)" +
                            core + R"(],"weakened":[]}})";
  const ProgramOutcome outcome = lincheck({"verify", "--timeout", "200ms", file}, proof);
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.out, HasSubstr("is not verified: the time limit struck"));
}

TEST(Verify, SaysWhatItCannotUse) {
  const Folder folder;
  const std::string file = folder.write("h.jsonl", kGood);
  EXPECT_EQ(lincheck({"verify", file}, "").code, 65);
  EXPECT_EQ(lincheck({"verify", file}, "hello").code, 65);
  EXPECT_EQ(lincheck({"verify", file}, R"({"file":"x","verdict":"unknown"})").code, 2);
  EXPECT_EQ(lincheck({"verify", file}, R"({"file":"x","verdict":"linearizable"})").code, 65);
  EXPECT_EQ(
      lincheck({"verify", folder.path("nowhere")}, R"({"file":"x","verdict":"linearizable"})").code,
      65);
}

}  // namespace
}  // namespace raftkv::linearizability
