// node tests/lighthouse.mjs PORT PAGES: judges pages with Lighthouse in the Chromium that listens on PORT, one after
// another. PAGES is JSON: [{name, url, tries, enough, skip}]. While the performance of a page is below `enough`, it is
// measured again, up to `tries` times, and its best run counts. Prints a line of JSON for each page.
import lighthouse from "lighthouse";

const [port, pages] = [Number(process.argv[2]), JSON.parse(process.argv[3])];
// Lighthouse's own default is the mobile preset: a slow 4G and a CPU four times slower, simulated from one plain load.
const options = {
  port,
  logLevel: "error",
  onlyCategories: ["performance", "accessibility", "best-practices", "seo"],
  disableFullPageScreenshot: true,
};

for (const { name, url, tries, enough, skip } of pages) {
  let best, fault;
  for (let turn = 0; turn < tries && !(best?.scores.performance >= enough); turn++) {
    const { lhr } = await lighthouse(url, { ...options, skipAudits: skip });
    if (lhr.runtimeError) { // a trace that was not recorded says nothing about the page
      fault = lhr.runtimeError.message;
      continue;
    }
    const scores = {}, wrong = [];
    for (const [id, { score, auditRefs }] of Object.entries(lhr.categories)) {
      scores[id] = Math.round(score * 100);
      for (const ref of auditRefs) {
        const audit = lhr.audits[ref.id];
        if (ref.weight && audit.score !== null && audit.score < (id === "performance" ? 0.98 : 1)) wrong.push(`${ref.id} ${audit.displayValue ?? audit.title}`);
      }
    }
    if (!best || scores.performance > best.scores.performance) best = { name, scores, wrong };
  }
  if (!best) throw new Error(`${name}: ${fault}`);
  console.log(JSON.stringify(best));
}
