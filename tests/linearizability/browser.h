// A page in a real browser. A script behind the page's own looks at the canvas and acts as a person
// would; what it finds is in the document that Chromium prints. A page draws with paint() into the
// canvas of `context`, in the colours of `colors`.
#pragma once

#include <gmock/gmock.h>

#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>

#include "tests/linearizability/program.h"

namespace raftkv::linearizability {

class PageInBrowser : public ::testing::Test {
 protected:
  // `tools`: what the scripts of this page have beside pixel(x, y) and rgb(name), the colours of a
  // place and of a name, press(key) and note(name, value).
  explicit PageInBrowser(std::string_view tools)
      : tools_(std::string(kOfEveryPage) + std::string(tools)) {}

  void SetUp() override {
    if (!std::filesystem::exists(kChromium)) {
      GTEST_SKIP() << "there is no " << kChromium << ": the page was not looked at";
    }
  }

  // Opens the page, runs the script in it, and gives the document's body tag with what the script
  // noted.
  std::string looked_at(std::string page, std::string_view script) {
    page.insert(page.rfind("</body>"),
                "<script>" + tools_ + "(async () => { try { paint();" + std::string(script) +
                    "} catch (error) { note('error', error); } note('done', 1); })();</script>");
    const std::string path = folder_.write("page.html", page);
    const ProgramOutcome outcome = run_program(
        {std::string(kChromium), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
         "--no-first-run", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--window-size=1300,800", "--virtual-time-budget=10000",
         "--user-data-dir=" + folder_.path("profile"), "--dump-dom", "file://" + path});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    const std::size_t body = outcome.out.find("<body");
    if (body == std::string::npos) return "no body: " + outcome.err;
    const std::string tag = outcome.out.substr(body, outcome.out.find('>', body) - body);
    EXPECT_THAT(tag, ::testing::HasSubstr("data-done"));
    EXPECT_THAT(tag, ::testing::Not(::testing::HasSubstr("data-error")));
    return tag;
  }

  // All of these were noted as true.
  static void expect_true(const std::string& body, std::initializer_list<const char*> names) {
    for (const char* name : names) {
      EXPECT_THAT(body, ::testing::HasSubstr("data-" + std::string(name) + "=\"true\"")) << body;
    }
  }

  Folder folder_;

 private:
  static constexpr std::string_view kChromium = "/usr/bin/chromium";
  static constexpr std::string_view kOfEveryPage = R"(
const ratio = window.devicePixelRatio || 1;
const pixel = (px, py) => Array.from(context.getImageData(Math.round(px * ratio), Math.round(py * ratio), 1, 1).data).slice(0, 3).join();
const rgb = (name) => {
  const hex = colors[name].slice(1);
  return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)).join();
};
const press = (key) => document.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
const note = (name, value) => document.body.setAttribute('data-' + name, value);
)";

  const std::string tools_;
};

}  // namespace raftkv::linearizability
