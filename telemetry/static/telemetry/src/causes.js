// What a vital hung on: the element, the event, the script, and how the time was spent. Never a text or an id.

// Elements and classes from the outside in, such as main>section.hero>img; the outermost left out where it gets long.
export const selector = (node) => {
  let path = "";
  for (let at = node.nodeType == 1 ? node : node.parentElement; at?.parentElement && path.length < 100; at = at.parentElement) {
    if (at != document.body) path = [at.localName, ...at.classList].join(".") + (path && ">" + path);
  }
  return path;
};

// Of web-vitals' attribution: the target, the event, and the parts in ms in the order that the server knows.
export const cause = ({ name, entries, attribution: of }) => name == "LCP"
  ? [of.target, "", of.timeToFirstByte, of.resourceLoadDelay, of.resourceLoadDuration, of.elementRenderDelay]
  : name == "INP"
    ? [of.interactionTarget, entries[0]?.name, of.inputDelay, of.processingDuration, of.presentationDelay]
    : [of.largestShiftTarget];

// The script of this origin that held up a frame longest since the last send: [path, how it was called, ms].
let worst;

export const takeScript = () => {
  const taken = worst;
  worst = undefined;
  return taken;
};

export const watchFrames = () => {
  const type = "long-animation-frame";
  if (PerformanceObserver.supportedEntryTypes?.includes(type)) {
    new PerformanceObserver((list) => {
      for (const script of list.getEntries().flatMap((frame) => frame.scripts)) {
        const { origin, pathname } = new URL(script.sourceURL || "a:");
        if (origin == location.origin && script.duration > (worst?.[2] || 0)) {
          worst = [pathname, script.invokerType, script.duration];
        }
      }
    }).observe({ type, buffered: true });
  }
};
