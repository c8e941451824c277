// The page of a run in a real browser.
#include <gmock/gmock.h>

#include <filesystem>
#include <string>

#include "sim/report/page.h"
#include "sim/report/recorder.h"
#include "sim/simulate.h"
#include "sim/swarm.h"
#include "tests/linearizability/browser.h"

namespace raftkv::sim {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// A helper of the scripts below: the colour of a node's band at a time.
constexpr std::string_view kTools = R"(
const band = (n, time) => pixel(x(time), laneTop(n) + 2);
)";

std::string rendered(const Options& options, const std::optional<Failure>& failure = {}) {
  Recorder recorder;
  SimulateOptions how;
  how.watcher = &recorder;
  const Run run = simulate(options, how);
  EXPECT_FALSE(run.failure);
  return render_page(recorder.record(), options, failure, {"test", "raftkv-sim …", ""});
}

class RunPageInBrowser : public linearizability::PageInBrowser {
 protected:
  RunPageInBrowser() : PageInBrowser(kTools) {}
};

Options a_cut_and_a_crash() {
  Options options;
  options.duration = 3s;
  options.liveness = 0;
  options.schedule = {
      at(500ms, isolate(node(1))),
      at(1s, put("k", "v").through(node(2))),
      at(1500ms, heal()),
      at(1600ms, kill(node(3))),
  };
  return options;
}

TEST_F(RunPageInBrowser, DrawsWhatNodesAreAndWhatIsCut) {
  const std::string body = looked_at(rendered(a_cut_and_a_crash()), R"(
    view.messages = 'none';
    paint();
    note('leader', nodes.some((_, n) => band(n, 1450000) === rgb('leader')));
    note('down', band(2, 2000000) === rgb('down'));
    note('cut', pixel(x(700000), laneTop(0) + BAND + 2) === rgb('cut'));
    note('healed', pixel(x(1550000), laneTop(0) + BAND + 2) !== rgb('cut'));
    const op = operations[0];
    note('operation', pixel((x(op[INVOKED]) + Math.max(x(op[INVOKED]) + 1.5, x(op[RETURNED]))) / 2, opsTop() + op.row * opHeight + 2) === rgb('ok'));
    note('strip', pixel(x(1000000), height - STRIP + 9) === rgb('good'));
    goTo(700000);
    note('card', document.querySelectorAll('.card')[0].textContent.includes('cut from n2, n3'));
    note('log', document.querySelectorAll('.card')[1].querySelectorAll('.log span').length >= 3);
  )");
  expect_true(body, {"leader", "down", "cut", "healed", "operation", "strip", "card", "log"});
}

TEST_F(RunPageInBrowser, AnswersToKeysMouseAndSlider) {
  const std::string body = looked_at(rendered(a_cut_and_a_crash()), R"(
    press('Home');
    note('home', view.time === 0);
    press('n');
    note('next', view.time === 500000 && document.querySelector('#actions li.here').textContent.includes('isolate n1'));
    const before = view.time;
    press('ArrowRight');
    note('on', view.time > before && times.includes(view.time));
    press('ArrowLeft');
    note('back', view.time === before);
    const all = view.to - view.from;
    press('+');
    note('zoomed', view.to - view.from < all * 0.7);
    press('0');
    note('fitted', Math.abs(view.to - view.from - all) < 1);
    press('m');
    paint();
    note('messages', view.messages === 'all' && +stage.dataset.messages > 10);
    $('slider').value = 1700000;
    $('slider').dispatchEvent(new Event('input'));
    note('slider', view.time === 1700000 && document.querySelectorAll('.card')[2].textContent.includes('down'));
    const sent = messages.find((m) => !(m[MFLAGS] & LOST) && m[ARRIVES] > m[SENT] + 2);
    goTo((sent[SENT] + sent[ARRIVES]) / 2);
    note('flying', $('flying').textContent.includes(`n${sent[FROM] + 1} to n${sent[TO] + 1}`));
    document.querySelectorAll('#actions li')[3].click();
    note('clicked', view.time === 1600000);
    view.messages = 'none';
    paint();
    const box = canvas.getBoundingClientRect();
    canvas.dispatchEvent(new PointerEvent('pointermove', { clientX: box.left + x(2000000), clientY: box.top + laneTop(2) + 5, bubbles: true }));
    note('tip', !$('tip').hidden && $('tip').textContent.startsWith('n3: down'));
    press('?');
    note('help', $('help').open);
    const named = [...document.querySelectorAll('button, input, select, [role=img]')].every((e) => e.getAttribute('aria-label') || e.textContent.trim());
    note('named', named);
  )");
  expect_true(body, {"home", "next", "on", "back", "zoomed", "fitted", "messages", "slider",
                     "flying", "clicked", "tip", "help", "named"});
}

TEST_F(RunPageInBrowser, AViolationTellsItsStory) {
  Failure failure;
  failure.violation = {"I3", "n1 and n2 differ at 4"};
  failure.at = 2500ms;
  const std::string body = looked_at(rendered(a_cut_and_a_crash(), failure), R"(
    note('verdict', $('verdict').textContent === 'violated: I3');
    note('story', $('story').textContent.includes('n1 and n2 differ at 4') && $('story').textContent.includes('log matching'));
    note('list', document.querySelector('#invariants .no').textContent.includes('I3'));
    note('red', pixel(x(data.failure.at), height - STRIP - 4) !== rgb('paper') && pixel(x(data.failure.at) - 4, height - STRIP + 5) === rgb('bad'));
    note('said', $('actions').textContent.includes('cannot reach each other'));
  )");
  expect_true(body, {"verdict", "story", "list", "red", "said"});
}

TEST_F(RunPageInBrowser, OpensIn2SecondsWith20SecondsOfFiveNodes) {
  const std::string body = looked_at(rendered(benchmark_options(1, 20s)), R"(
    const start = performance.now();
    paint();
    note('frame', Math.round(performance.now() - start));
    note('quick', +document.body.dataset.drawnMs < 2000);
  )");
  EXPECT_THAT(body, HasSubstr("data-nodes=\"5\""));
  EXPECT_THAT(body, HasSubstr("data-quick=\"true\"")) << body;
}

}  // namespace
}  // namespace raftkv::sim
