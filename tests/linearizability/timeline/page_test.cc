// The page in a real browser: what it draws, and how it answers to keys and mouse.
#include <gmock/gmock.h>

#include <string>

#include "src/base/prng.h"
#include "tests/linearizability/browser.h"
#include "tests/linearizability/timeline/rendered.h"

namespace raftkv::linearizability {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Helpers of the scripts below: where a bar is, a new frame.
constexpr std::string_view kTools = R"(
const bar = (op) => [(Math.max(GUTTER, x(ops.invoke[op])) + Math.min(width, x(finish[op]))) / 2, laneTop(ops.process[op]) + 5];
const frame = async () => paint();  // the next one may never come while nobody looks
)";

class Page : public PageInBrowser {
 protected:
  Page() : PageInBrowser(kTools) {}
};

constexpr std::string_view kEnds = R"({"history":1,"model":"register"}
{"fault":"partition 1 | 2","from":2000,"to":2600}
{"process":0,"invoke":100,"return":900,"f":"write","value":1}
{"process":1,"invoke":200,"return":800,"end":"fail","f":"write","value":2}
{"process":2,"invoke":300,"end":"info","f":"write","value":3}
{"process":3,"invoke":1000,"return":1900,"f":"read","result":1}
{"process":3,"invoke":2700,"return":2900,"f":"read","result":1}
)";

TEST_F(Page, DrawsBarsInTheColourOfTheirEndAndTheWitnessThroughThem) {
  const std::string body = looked_at(rendered(kEnds), R"(
    note('ok', pixel(...bar(0)) === rgb('ok'));
    note('fail', pixel(...bar(2 - 1)) === rgb('fail'));
    const [px, py] = bar(2);
    note('info', ![rgb('ok'), rgb('fail'), rgb('paper'), rgb('lane')].includes(pixel(x(ops.invoke[2]) + 4, py)));
    note('between', [rgb('paper'), rgb('lane')].includes(pixel(x(950), laneTop(ops.process[0]) + 5)));
    note('fault', ![rgb('paper'), rgb('lane')].includes(pixel(x(2300 - 100), AXIS + 2)));
    note('witness', pixel(x(points[0]), laneTop(ops.process[witness[0]]) + laneHeight / 2) === rgb('witness'));
    note('inside', witness.every((op, k) => points[k] >= ops.invoke[op] && points[k] <= finish[op] && (k === 0 || points[k] >= points[k - 1])));
    press('w');
    await frame();
    note('hidden', pixel(x(points[0]), laneTop(ops.process[witness[0]]) + laneHeight / 2) !== rgb('witness'));
  )");
  expect_true(body, {"ok", "fail", "info", "between", "fault", "witness", "inside", "hidden"});
}

TEST_F(Page, AnswersToKeysAndMouse) {
  const std::string body = looked_at(rendered(kEnds), R"(
    const length = () => view.to - view.from;
    const all = length();
    press('+');
    note('zoomed', length() < all * 0.7);
    const from = view.from;
    press('ArrowRight');
    note('moved', view.from > from);
    press('0');
    note('fitted', Math.abs(length() - all) < 1);
    canvas.dispatchEvent(new WheelEvent('wheel', { deltaY: -300, clientX: 600, clientY: 300, bubbles: true, cancelable: true }));
    note('wheel', length() < all * 0.7);
    press('0');
    await frame();
    const box = canvas.getBoundingClientRect(), [px, py] = bar(0);
    canvas.dispatchEvent(new PointerEvent('pointermove', { clientX: box.left + px, clientY: box.top + py, bubbles: true }));
    note('hover', !$('tip').hidden && $('tip').textContent.startsWith('write 1\nprocess 0, line 3, ok'));
    press('n');
    note('next', $('detail').textContent.startsWith('write 1'));
    press('n');
    note('second', $('detail').textContent.startsWith('read: 1'));
    press('Escape');
    note('escape', $('detail').textContent === '');
    press('?');
    note('help', $('help').open);
  )");
  expect_true(body,
              {"zoomed", "moved", "fitted", "wheel", "hover", "next", "second", "escape", "help"});
}

TEST_F(Page, AViolationBeginsWithItsCore) {
  std::string history = "{\"history\":1,\"model\":\"register\"}\n";
  for (int i = 0; i < 500; ++i) {
    history += R"({"process":0,"invoke":)" + std::to_string(i * 10) +
               ",\"return\":" + std::to_string(i * 10 + 5) + R"(,"f":"write","value":)" +
               std::to_string(i) + "}\n";
  }
  history += R"({"process":1,"invoke":3006,"return":3008,"f":"read","result":298})";
  const std::string body = looked_at(rendered(history), R"(
    note('panel', !$('core').hidden && document.querySelectorAll('#core ol li.op').length === core.ops.length);
    note('state', ['299', '300'].includes(document.querySelector('#core .state').textContent));
    note('why', document.querySelector('#core .why').textContent.includes('298'));
    const shown = core.ops.every((c) => ops.invoke[c.op] >= view.from && finish[c.op] <= view.to);
    note('zoomed', shown && view.to - view.from < 200);
    const op = core.ops[0].op;
    note('outlined', pixel(x(ops.invoke[op]), laneTop(ops.process[op]) + laneHeight / 2) === rgb('core'));
    document.querySelectorAll('#core ol li.op')[1].click();
    note('selected', view.selected === core.ops[1].op);
  )");
  expect_true(body, {"panel", "state", "why", "zoomed", "outlined", "selected"});
}

TEST_F(Page, OpensIn2SecondsWith100000Operations) {
  Prng prng(1);
  std::string history = "{\"history\":1,\"model\":\"register\"}\n";
  std::int64_t clock = 0;
  for (int i = 0; i < 100'000; ++i) {
    clock += static_cast<std::int64_t>(prng.between(std::uint64_t{100}, std::uint64_t{900}));
    history += R"({"process":)" + std::to_string(i % 10) + ",\"invoke\":" + std::to_string(clock) +
               ",\"return\":" + std::to_string(clock + 950) + R"(,"f":"write","value":)" +
               std::to_string(i) + "}\n";
  }
  const std::string body = looked_at(rendered(history), R"(
    note('opened', Math.round(performance.getEntriesByType('navigation')[0].domInteractive));
    const start = performance.now();
    paint();
    note('frame', Math.round(performance.now() - start));
    note('quick', +document.body.dataset.drawnMs < 2000);
  )");
  EXPECT_THAT(body, HasSubstr("data-operations=\"100000\""));
  EXPECT_THAT(body, HasSubstr("data-quick=\"true\"")) << body;
}

}  // namespace
}  // namespace raftkv::linearizability
