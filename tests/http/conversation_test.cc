// Section 7 of the design, as a table of raw requests and answers, without a socket.
#include "tests/http/conversation.h"

#include <gtest/gtest.h>

#include <cctype>
#include <filesystem>

namespace raftkv::http {

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.title;
}

namespace {

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const auto& entry :
       std::filesystem::directory_iterator(RAFTKV_SOURCE_DIR "/tests/testdata/http")) {
    for (Case& c : load_cases(entry.path())) {
      c.title = entry.path().stem().string() + ": " + c.title;
      cases.push_back(std::move(c));
    }
  }
  return cases;
}

std::string name_of(const testing::TestParamInfo<Case>& info) {
  std::string name;
  for (const char c : info.param.title) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      name += c;
    } else if (!name.empty() && name.back() != '_') {
      name += '_';
    }
  }
  return name;
}

class Conversation : public testing::TestWithParam<Case> {};

TEST_P(Conversation, GoesAsWritten) {
  PureWorld world;
  run_case(GetParam(), world);
}

TEST_P(Conversation, GoesAsWrittenByteByByte) {
  PureWorld world(1);
  run_case(GetParam(), world);
}

INSTANTIATE_TEST_SUITE_P(Http, Conversation, testing::ValuesIn(all_cases()), name_of);

}  // namespace
}  // namespace raftkv::http
