// The beacon: what this page view felt like, sent once, when the page is hidden. docs/rum.md says what it holds.
import { onCLS } from "web-vitals/attribution/onCLS.js";
import { onINP } from "web-vitals/attribution/onINP.js";
import { onLCP } from "web-vitals/attribution/onLCP.js";
import { onFCP } from "web-vitals/onFCP.js";
import { onTTFB } from "web-vitals/onTTFB.js";
import { cause, selector, takeScript, watchFrames } from "./causes.js";
import { watchErrors } from "./errors.js";
import { watchFetches, watchForms } from "./fetches.js";
import { settings, start, take, record } from "./page.js";

const PHASES = ["domainLookup", "connect", "request", "response", "domContentLoadedEvent", "loadEvent"];

const timings = () => {
  const entry = performance.getEntriesByType("navigation")[0];
  return entry && PHASES.flatMap((phase) => [entry[phase + "Start"], entry[phase + "End"]]).concat(entry.secureConnectionStart);
};

const watch = () => {
  let number = 0, view = 0, part = 0, vitals = {}, causes = {}, sent = {}, navigation, path = location.pathname;

  // Before the library's own listeners: a page that comes back from the bfcache is a new view of the same page.
  addEventListener("pageshow", (event) => {
    if (event.persisted) {
      view++;
      part = 0;
      vitals = {};
      causes = {};
      sent = {};
      takeScript();
      start();
    }
  }, true);

  // reportAllChanges: the last value is kept here, since a page can be hidden before the library's idle callback.
  for (const on of [onTTFB, onFCP, onLCP, onCLS, onINP]) {
    on((metric) => {
      const { name, value, navigationType } = metric;
      navigation = navigationType;
      if (!sent[name]) {
        vitals[name] = value;
        if (metric.attribution) causes[name] = cause(metric);
      }
    }, { reportAllChanges: true, generateTarget: selector });
  }
  watchFrames();
  watchErrors();
  watchFetches();
  watchForms();
  window.navigation?.addEventListener("currententrychange", () => {
    if (path != location.pathname) record("views", { path: path = location.pathname });
  });

  // On the document: runs after the library's listeners on the window, which take their last records.
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState != "hidden") return;
    const records = take();
    if (part && !records && !Object.keys(vitals).length) return;
    const beacon = {
      ...records, vitals, causes, navigation, view, part,
      script: takeScript(),
      connection: navigator.connection?.effectiveType,
      memory: navigator.deviceMemory,
      token: settings.token,
      number: number++,
      automated: navigator.webdriver,
      timings: view || part ? undefined : timings(),
      age: performance.now(),
    };
    navigator.sendBeacon(settings.url, new Blob([JSON.stringify(beacon)], { type: "application/json" }));
    part++;
    Object.assign(sent, vitals);
    for (const name in sent) sent[name] = 1;
    vitals = {};
    causes = {};
  });
};

// Global Privacy Control and Do Not Track: nothing is measured, so nothing can be sent.
if (!navigator.globalPrivacyControl && navigator.doNotTrack != 1 && navigator.sendBeacon) watch();
