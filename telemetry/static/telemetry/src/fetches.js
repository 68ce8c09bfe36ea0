// Same-origin fetch and XMLHttpRequest: how long the user waited, and the page's trace so that the server joins in.
import { record, settings } from "./page.js";

// Returns a function to call with the status once the answer is there, or nothing when the request is not ours to watch.
const begin = (address, setHeader) => {
  const { origin, pathname } = new URL(address, location);
  if (origin != location.origin) return;
  const span = crypto.getRandomValues(new BigUint64Array(1))[0].toString(16).padStart(16, "0");
  if (settings.trace) setHeader("page-trace", span + "-" + settings.trace);
  const at = performance.now();
  return (status) => record("fetches", { path: pathname, status, span, at, duration: performance.now() - at });
};

export const watchFetches = () => {
  const { fetch } = window;
  window.fetch = (input, init) => {
    let done;
    try {
      const headers = new Headers(init?.headers || input.headers);
      done = begin(input.url || input, (name, value) => headers.set(name, value));
      if (done) init = { ...init, headers };
    } catch {
      // What fetch itself says about such arguments is for the caller.
    }
    const answer = fetch(input, init);
    if (done) answer.then((response) => done(response.status), (error) => error.name == "AbortError" || done(0));
    return answer;
  };

  const { open, send } = XMLHttpRequest.prototype;
  const addresses = new WeakMap();
  XMLHttpRequest.prototype.open = function (method, address) {
    addresses.set(this, address);
    return open.apply(this, arguments);
  };
  XMLHttpRequest.prototype.send = function (body) {
    try {
      const done = begin(addresses.get(this), (name, value) => this.setRequestHeader(name, value));
      if (done) this.addEventListener("loadend", () => done(this.status));
    } catch {
      // As above: send() says it.
    }
    return send.call(this, body);
  };
};

// A form that is sent is a navigation, which takes no header: its page's trace goes along in the address of the POST,
// which answers with a redirect. So what happens on the server is a child of the page it began on.
export const watchForms = () => {
  // A form that is shown again for its errors stands at that address: it is nobody's to see, to keep or to pass on.
  const here = new URL(location);
  if (here.searchParams.has("page-trace")) {
    here.searchParams.delete("page-trace");
    history.replaceState(history.state, "", here);
  }
  addEventListener("submit", ({ target, defaultPrevented }) => {
    const address = new URL(target.getAttribute("action") || location, location);
    if (settings.trace && !defaultPrevented && /post/i.test(target.getAttribute("method")) && address.origin == location.origin) {
      address.searchParams.set("page-trace", settings.span + "-" + settings.trace);
      target.setAttribute("action", address);
    }
  });
};
